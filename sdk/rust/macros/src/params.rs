//! `#[derive(Params)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, ExprUnary, Fields, Ident, Lit, LitStr, Type, UnOp,
};

use crate::docs;

pub(crate) fn expand(item: TokenStream) -> syn::Result<TokenStream> {
    let input: DeriveInput = syn::parse2(item)?;
    if !input.generics.params.is_empty() {
        return Err(Error::new(input.generics.span(), "parameters cannot be generic"));
    }
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(named) => structure(&input, named.named.iter()),
            _ => Err(Error::new(input.ident.span(), "parameters are a struct with named fields")),
        },
        Data::Enum(data) => enumeration(&input, data.variants.iter()),
        Data::Union(_) => {
            Err(Error::new(input.ident.span(), "parameters are a struct or an enum without data"))
        }
    }
}

/// What `#[param(...)]` says.
#[derive(Default)]
struct Options {
    rename: Option<String>,
    default: Option<Fallback>,
    min: Option<Expr>,
    max: Option<Expr>,
}

enum Fallback {
    OfType,
    Of(Expr),
}

impl Options {
    fn parse(attributes: &[Attribute]) -> syn::Result<Options> {
        let mut options = Options::default();
        for attribute in attributes.iter().filter(|a| a.path().is_ident("param")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("rename") {
                    options.rename = Some(meta.value()?.parse::<LitStr>()?.value());
                } else if meta.path.is_ident("default") {
                    let given = meta.input.peek(syn::Token![=]);
                    options.default =
                        Some(if given { Fallback::Of(meta.value()?.parse()?) } else { Fallback::OfType });
                } else if meta.path.is_ident("min") {
                    options.min = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("max") {
                    options.max = Some(meta.value()?.parse()?);
                } else {
                    return Err(meta.error("expected `rename`, `default`, `min` or `max`"));
                }
                Ok(())
            })?;
        }
        Ok(options)
    }

    fn bounds(&self) -> syn::Result<TokenStream> {
        let (min, max) = (bound(self.min.as_ref())?, bound(self.max.as_ref())?);
        Ok(quote!(const { ::weir_sdk::params::Bounds { min: #min, max: #max } }))
    }

    /// A function that makes the default, as an `Option`.
    fn default_maker(&self, ty: &Type) -> TokenStream {
        match &self.default {
            None => quote!(::core::option::Option::None),
            Some(Fallback::OfType) => {
                quote!(::core::option::Option::Some(<#ty as ::core::default::Default>::default as fn() -> #ty))
            }
            Some(Fallback::Of(expr)) => {
                let value = owned(expr);
                quote!(::core::option::Option::Some((|| -> #ty { #value }) as fn() -> #ty))
            }
        }
    }
}

/// A number literal, maybe negative, as a bound.
fn bound(expr: Option<&Expr>) -> syn::Result<TokenStream> {
    let Some(expr) = expr else {
        return Ok(quote!(::core::option::Option::None));
    };
    let (sign, literal) = match expr {
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => ("-", &**expr),
        other => ("", other),
    };
    let digits = match literal {
        Expr::Lit(ExprLit { lit: Lit::Int(int), .. }) => int.base10_digits().to_owned(),
        Expr::Lit(ExprLit { lit: Lit::Float(float), .. }) => float.base10_digits().to_owned(),
        _ => return Err(Error::new(expr.span(), "a bound is a number")),
    };
    let text = format!("{sign}{digits}");
    let value: f64 = text.parse().map_err(|_| Error::new(expr.span(), "a bound is a number"))?;
    Ok(quote!(::core::option::Option::Some(::weir_sdk::params::Bound { value: #value, text: #text })))
}

/// String literals, alone or in an array, as owned values; an array as a `Vec`; all else as it is.
fn owned(expr: &Expr) -> TokenStream {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => quote!(::std::string::String::from(#text)),
        Expr::Array(array) => {
            let items = array.elems.iter().map(owned);
            quote!(::std::vec![#(#items),*])
        }
        other => quote!(#other),
    }
}

fn structure<'a>(
    input: &DeriveInput,
    fields: impl Iterator<Item = &'a syn::Field>,
) -> syn::Result<TokenStream> {
    let (mut names, mut takes, mut schemas, mut writes) = (vec![], vec![], vec![], vec![]);
    for field in fields {
        let ident = field.ident.as_ref().expect("the struct has named fields");
        let options = Options::parse(&field.attrs)?;
        let name = options.rename.clone().unwrap_or_else(|| unraw(ident));
        let (ty, docs) = (&field.ty, docs::text(&field.attrs));
        let (bounds, default) = (options.bounds()?, options.default_maker(ty));
        takes.push(quote!(#ident: fields.take::<#ty>(#name, &#bounds, #default)?));
        schemas.push(quote! {
            let default: ::core::option::Option<fn() -> #ty> = #default;
            object.field::<#ty>(#name, #docs, &#bounds, default.map(|make| make()));
        });
        // A field's name needs no escape beyond what its Rust literal has.
        let key = format!("{}{name:?}:", if writes.is_empty() { "{" } else { "," });
        writes.push(quote! {
            out.push_str(#key);
            ::weir_sdk::params::ParamType::write_json(&self.#ident, out);
        });
        names.push(name);
    }
    let open = if writes.is_empty() { "{" } else { "" };
    let (ident, docs) = (&input.ident, docs::text(&input.attrs));
    Ok(quote! {
        impl ::weir_sdk::params::ParamType for #ident {
            fn from_value(
                value: ::weir_sdk::params::Value,
            ) -> ::core::result::Result<Self, ::weir_sdk::ParamError> {
                let mut fields = ::weir_sdk::params::Fields::of(value, &[#(#names),*])?;
                ::core::result::Result::Ok(Self { #(#takes),* })
            }

            fn schema(out: &mut ::std::string::String, _bounds: &::weir_sdk::params::Bounds) {
                let mut object = ::weir_sdk::params::ObjectSchema::new(out, #docs);
                #(#schemas)*
                object.end();
            }

            fn write_json(&self, out: &mut ::std::string::String) {
                out.push_str(#open);
                #(#writes)*
                out.push('}');
            }
        }

        impl ::weir_sdk::params::Params for #ident {}
    })
}

fn enumeration<'a>(
    input: &DeriveInput,
    variants: impl Iterator<Item = &'a syn::Variant>,
) -> syn::Result<TokenStream> {
    let (mut idents, mut names, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for variant in variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new(variant.span(), "a parameter's enum has no data"));
        }
        let name = Options::parse(&variant.attrs)?.rename.unwrap_or_else(|| kebab(&unraw(&variant.ident)));
        let docs = docs::text(&variant.attrs);
        if !docs.is_empty() {
            notes.push(format!("- `{name}`: {docs}"));
        }
        idents.push(&variant.ident);
        names.push(name);
    }
    let (ident, notes) = (&input.ident, notes.join("\n"));
    let at = 0..idents.len();
    let (schema, due) =
        (format!("\"type\":\"string\",\"enum\":{names:?}"), format!("one of {}", names.join(", ")));
    Ok(quote! {
        impl ::weir_sdk::params::ParamType for #ident {
            fn from_value(
                value: ::weir_sdk::params::Value,
            ) -> ::core::result::Result<Self, ::weir_sdk::ParamError> {
                ::core::result::Result::Ok(match ::weir_sdk::params::variant(&value, &[#(#names),*])? {
                    #(#at => Self::#idents,)*
                    _ => ::core::unreachable!("`variant` gives the index of a name"),
                })
            }

            fn schema(out: &mut ::std::string::String, _bounds: &::weir_sdk::params::Bounds) {
                out.push_str(#schema);
            }

            fn write_json(&self, out: &mut ::std::string::String) {
                out.push('"');
                out.push_str(match self { #(Self::#idents => #names,)* });
                out.push('"');
            }

            fn notes() -> &'static str {
                #notes
            }

            fn due() -> &'static str {
                #due
            }
        }
    })
}

fn unraw(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
}

fn kebab(camel: &str) -> String {
    let mut out = String::new();
    for (i, c) in camel.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_named_in_kebab_case() {
        assert_eq!(kebab("ByName"), "by-name");
        assert_eq!(kebab("Label"), "label");
    }

    #[test]
    fn what_cannot_be_parameters_is_refused() {
        for (item, reason) in [
            (
                quote!(
                    struct A(u32);
                ),
                "named fields",
            ),
            (
                quote!(
                    struct A<T> {
                        a: T,
                    }
                ),
                "generic",
            ),
            (
                quote!(
                    enum A {
                        B(u32),
                    }
                ),
                "no data",
            ),
            (
                quote!(
                    struct A {
                        #[param(least = 1)]
                        a: u32,
                    }
                ),
                "expected `rename`",
            ),
            (
                quote!(
                    struct A {
                        #[param(min = "1")]
                        a: u32,
                    }
                ),
                "a bound is a number",
            ),
        ] {
            let error = expand(item).expect_err("the item is refused");
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
