//! Lists of all variants of an enum.

/// All variants of an enum, each with what it holds. With one missing or there twice, it does not compile.
macro_rules! all {
    ($of:ident: $($variant:ident $(($($held:expr),+))?),+ $(,)?) => {{
        #[deny(unreachable_patterns)]
        const _: fn(&$of) = |it| match it {
            $($of::$variant { .. } => (),)+
        };
        [$($of::$variant $(($($held),+))?),+]
    }};
}

pub(crate) use all;
