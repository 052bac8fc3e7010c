//! `#[filter]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Error, Expr, FnArg, Ident, Item, ItemFn, ItemImpl, LitStr, ReturnType, Type, parse::Parser};

use crate::docs;

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let options = Options::parse(args)?;
    match syn::parse2(item)? {
        Item::Fn(function) => of_function(&options, &function),
        Item::Impl(implementation) => of_impl(&options, &implementation),
        other => {
            Err(Error::new(other.span(), "`#[filter]` goes on a function or an `impl` of a filter trait"))
        }
    }
}

/// What the attribute says.
struct Options {
    name: LitStr,
    kind: Option<Ident>,
    summary: Option<LitStr>,
    columns: Option<Expr>,
}

impl Options {
    fn parse(args: TokenStream) -> syn::Result<Options> {
        let (mut name, mut kind, mut summary, mut columns) = (None, None, None, None);
        let all = args.span();
        syn::meta::parser(|meta| {
            if meta.path.is_ident("name") {
                name = Some(meta.value()?.parse::<LitStr>()?);
            } else if meta.path.is_ident("kind") {
                kind = Some(meta.value()?.parse::<Ident>()?);
            } else if meta.path.is_ident("summary") {
                summary = Some(meta.value()?.parse::<LitStr>()?);
            } else if meta.path.is_ident("columns") {
                columns = Some(meta.value()?.parse::<Expr>()?);
            } else {
                return Err(meta.error("expected `name`, `kind`, `summary` or `columns`"));
            }
            Ok(())
        })
        .parse2(args)?;
        let name = name.ok_or_else(|| Error::new(all, "a filter needs `name = \"…\"`"))?;
        check_name(&name)?;
        Ok(Options { name, kind, summary, columns })
    }

    /// The `export!` of type `ty`, whose kind is `kind` unless the attribute makes it `redact`.
    fn export(
        &self,
        ty: &TokenStream,
        kind: &str,
        attributes: &[syn::Attribute],
    ) -> syn::Result<TokenStream> {
        let kind = match &self.kind {
            None => Ident::new(kind, proc_macro2::Span::call_site()),
            Some(given) if given == kind || (given == "redact" && kind == "transform") => given.clone(),
            Some(given) => {
                return Err(Error::new(given.span(), format!("this is a filter of kind `{kind}`")));
            }
        };
        let summary = self.summary.as_ref().map_or_else(|| docs::summary(attributes), LitStr::value);
        if summary.is_empty() {
            return Err(Error::new(self.name.span(), "a filter needs a doc comment or `summary = \"…\"`"));
        }
        let name = &self.name;
        Ok(quote!(::weir_sdk::export!(#ty, kind = #kind, name = #name, summary = #summary);))
    }
}

fn check_name(name: &LitStr) -> syn::Result<()> {
    let text = name.value();
    let letters = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if letters && (1..=63).contains(&text.len()) && !text.starts_with('-') && !text.ends_with('-') {
        return Ok(());
    }
    Err(Error::new(name.span(), "a filter's name is 1 to 63 lower-case letters, digits and inner dashes"))
}

fn of_impl(options: &Options, implementation: &ItemImpl) -> syn::Result<TokenStream> {
    if let Some(columns) = &options.columns {
        return Err(Error::new(columns.span(), "an `impl` says its columns in `const COLUMNS`"));
    }
    let named = implementation.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
    let kind = match named.map(|segment| segment.ident.to_string()).as_deref() {
        Some("Select") => "select",
        Some("Transform") => "transform",
        Some("Aggregate") => "aggregate",
        _ => {
            let message = "`#[filter]` goes on an `impl` of `Select`, `Transform` or `Aggregate`";
            return Err(Error::new(implementation.impl_token.span, message));
        }
    };
    let ty = &implementation.self_ty;
    let export = options.export(&quote!(#ty), kind, &implementation.attrs)?;
    Ok(quote!(#implementation #export))
}

fn of_function(options: &Options, function: &ItemFn) -> syn::Result<TokenStream> {
    let ident = &function.sig.ident;
    let filter = Ident::new(&camel(&ident.to_string()), ident.span());
    let selects = matches!(function.sig.output, ReturnType::Type(..));
    let inputs: Vec<&FnArg> = function.sig.inputs.iter().collect();
    let own = if selects { 1 } else { 2 };
    let params = match inputs.len().checked_sub(own) {
        Some(0) => None,
        Some(1) => Some(referenced(inputs[0])?),
        _ => {
            let message = "a filter's function takes a `Line` and returns `bool`, or takes a `Line` and `&mut Out`; \
                           a reference to its parameters may come first";
            return Err(Error::new(function.sig.span(), message));
        }
    };
    let docs = function.attrs.iter().filter(|a| a.path().is_ident("doc"));
    let visibility = &function.vis;
    let params_type = params.map_or_else(|| quote!(()), |ty| quote!(#ty));
    let first = params.map(|_| quote!(&self.0,));
    let columns =
        options.columns.as_ref().map_or_else(|| quote!(::weir_sdk::Columns::MESSAGE), |c| quote!(#c));
    let (kind, kind_trait, body) = if selects {
        let body = quote! {
            fn keep(&mut self, line: ::weir_sdk::Line<'_>) -> bool {
                #ident(#first line)
            }
        };
        ("select", quote!(Select), body)
    } else {
        let body = quote! {
            fn line(&mut self, line: ::weir_sdk::Line<'_>, out: &mut ::weir_sdk::Out<'_>) {
                #ident(#first line, out);
            }
        };
        ("transform", quote!(Transform), body)
    };
    let export = options.export(&quote!(#filter), kind, &function.attrs)?;
    Ok(quote! {
        #function

        #(#docs)*
        #visibility struct #filter(#[allow(dead_code, reason = "a filter without parameters reads none")] #params_type);

        impl ::weir_sdk::#kind_trait for #filter {
            type Params = #params_type;
            const COLUMNS: ::weir_sdk::Columns = #columns;

            fn open(params: Self::Params) -> ::core::result::Result<Self, ::weir_sdk::ParamError> {
                ::core::result::Result::Ok(#filter(params))
            }

            #body
        }

        #export
    })
}

/// The type behind a parameter that is a reference.
fn referenced(input: &FnArg) -> syn::Result<&Type> {
    match input {
        FnArg::Typed(typed) => match &*typed.ty {
            Type::Reference(reference) => Ok(&reference.elem),
            other => Err(Error::new(other.span(), "parameters are taken by reference")),
        },
        FnArg::Receiver(receiver) => {
            Err(Error::new(receiver.span(), "a filter's function is a free function"))
        }
    }
}

fn camel(snake: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    snake.trim_start_matches("r#").split('_').map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_in_the_authors_words() {
        let function = quote!(
            /// Doc.
            fn f(line: Line<'_>) -> bool {
                true
            }
        );
        for (args, item, reason) in [
            (quote!(), function.clone(), "needs `name"),
            (quote!(name = "Bad"), function.clone(), "lower-case"),
            (quote!(name = "a", kind = transform), function.clone(), "kind `select`"),
            (quote!(name = "a", colour = 1), function, "expected `name`"),
            (
                quote!(name = "a"),
                quote!(
                    fn f(line: Line<'_>) -> bool {
                        true
                    }
                ),
                "doc comment",
            ),
            (
                quote!(name = "a"),
                quote!(
                    fn f() -> bool {
                        true
                    }
                ),
                "takes a `Line`",
            ),
            (
                quote!(name = "a"),
                quote!(
                    fn f(a: Args, line: Line<'_>) -> bool {
                        true
                    }
                ),
                "by reference",
            ),
            (
                quote!(name = "a"),
                quote!(
                    struct F;
                ),
                "goes on a function",
            ),
            (quote!(name = "a"), quote!(impl Clone for F {}), "`Select`"),
        ] {
            let error = expand(args, item).expect_err("the item is refused");
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn types_are_named_in_camel_case() {
        assert_eq!(camel("with_word"), "WithWord");
    }
}
