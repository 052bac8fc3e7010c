//! From the cluster's `Filter` and `FilterPolicy` objects to what the engine takes. What can't be understood of one becomes an
//! installed filter, or a policy, that can't be loaded, which refuses whatever it may cover.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use weir_cluster::{ConfigMapKey, FilterSpec, Object, OciReference, Requirement, Selector};
use weir_query::{
    FilterRef, InstalledSpec, LabelRequirement, LabelSelector, LabelValue, PolicyFailure, PolicyFilter,
    PolicyScope, PolicySpec,
};
use weir_registry::Reference;

use crate::pulls::Pulled;

/// What is known of a ConfigMap; `None` before the API server was asked.
pub(crate) type ConfigMap = Option<Result<Arc<Object>, String>>;

/// The ConfigMap that a `Filter` takes its component from.
pub(crate) fn config_map_of(filter: &Object) -> Option<ConfigMapKey> {
    FilterSpec::of(filter).ok()?.config_map
}

/// The artifact that a `Filter` takes its component from, or why it can't be one.
pub(crate) fn artifact_of(filter: &Object) -> Option<Result<Reference, String>> {
    let OciReference { reference } = FilterSpec::of(filter).ok()?.oci?;
    Some(
        reference
            .parse()
            .map_err(|error: weir_registry::ReferenceError| format!("spec.oci.reference: {error}")),
    )
}

/// What a `Filter` installs, with what is known of the ConfigMap or the artifact that it names, if it names one.
pub(crate) fn installed(filter: &Object, config_map: &ConfigMap, pulled: &Pulled) -> InstalledSpec {
    let spec = FilterSpec::of(filter);
    let FilterSpec { params, limits, .. } = spec.clone().unwrap_or_default();
    let filter_ref = spec.and_then(|spec| match spec {
        FilterSpec { builtin: Some(name), .. } => Ok(FilterRef::Name(name)),
        FilterSpec { config_map: Some(key), .. } => component(&key, config_map),
        FilterSpec { oci: Some(OciReference { reference }), .. } => {
            artifact_of(filter).transpose()?;
            let component = pulled.as_ref().map_err(Clone::clone)?;
            let (bytes, signature) = (component.bytes.clone(), component.signature.clone());
            Ok(FilterRef::Component { label: reference, bytes, signature })
        }
        _ => Err("it names no filter: give builtin, configMap or oci".to_owned()),
    });
    InstalledSpec { name: filter.metadata.name.clone(), filter: filter_ref, params: text(params), limits }
}

/// The policy that a `FilterPolicy` is.
pub(crate) fn policy(object: &Object) -> PolicySpec {
    let name = object.metadata.name.clone();
    match weir_cluster::PolicySpec::of(object).and_then(|spec| Ok((scope(&spec)?, spec))) {
        Ok((scope, spec)) => {
            let filter = |filter: weir_cluster::PolicyFilter| PolicyFilter {
                filter: FilterRef::Name(filter.name),
                params: text(filter.params),
                limits: filter.limits,
            };
            let (filters, on_failure) = match spec.on_failure.as_deref() {
                None | Some("Withhold") => (Ok(()), PolicyFailure::Withhold),
                Some("Refuse") => (Ok(()), PolicyFailure::Refuse),
                Some(other) => {
                    let why = format!("onFailure: '{other}' is not Withhold or Refuse");
                    (Err(why), PolicyFailure::Refuse)
                }
            };
            let filters = filters.map(|()| spec.filters.into_iter().map(filter).collect());
            PolicySpec { name, scope, filters, on_failure }
        }
        // What it was to cover isn't known.
        Err(why) => {
            let (scope, on_failure) = (PolicyScope::default(), PolicyFailure::Refuse);
            PolicySpec { name, scope, filters: Err(why), on_failure }
        }
    }
}

fn component(key: &ConfigMapKey, config_map: &ConfigMap) -> Result<FilterRef, String> {
    let ConfigMapKey { namespace, name, key } = key;
    let object = match config_map {
        Some(object) => object.as_ref().map_err(Clone::clone)?,
        None => return Err(format!("ConfigMap {namespace}/{name} isn't read yet")),
    };
    let decoded = |key: &str| -> Option<Result<Vec<u8>, String>> {
        let text = object.binary_data.get(key)?;
        Some(STANDARD.decode(text).map_err(|error| format!("binaryData.{key} isn't base64: {error}")))
    };
    let bytes = decoded(key).ok_or_else(|| {
        format!(
            "ConfigMap {namespace}/{name} has no key '{key}' under binaryData (kubectl create configmap {name} -n \
             {namespace} --from-file={key})"
        )
    })??;
    // A text, as signatures are, is under `data`.
    let signature = format!("{key}.sig");
    let signature = match object.data.get(&signature) {
        Some(text) => Some(text.clone().into_bytes()),
        None => decoded(&signature).transpose()?,
    };
    Ok(FilterRef::Component { label: format!("{namespace}/{name}/{key}"), bytes, signature })
}

fn scope(spec: &weir_cluster::PolicySpec) -> Result<PolicyScope, String> {
    let labels = |field: &str, wanted: &Option<Selector>| {
        wanted.as_ref().map(selector).transpose().map_err(|why| format!("{field}.selector: {why}"))
    };
    let pods = spec.pods.as_ref().map(|pods| pods.selector.clone());
    Ok(PolicyScope {
        namespaces: spec.namespaces.names.clone(),
        namespace_selector: labels("namespaces", &spec.namespaces.selector)?,
        pods: Vec::new(),
        pod_selector: labels("pods", &pods)?,
    })
}

fn selector(selector: &Selector) -> Result<LabelSelector, String> {
    let equal = selector.match_labels.iter().map(|(key, value)| {
        let value = LabelValue::In(vec![value.clone()]);
        Ok(LabelRequirement { key: key.clone(), value })
    });
    let requirement = |Requirement { key, operator, values }: &Requirement| {
        let value = match operator.as_str() {
            "In" => LabelValue::In(values.clone()),
            "NotIn" => LabelValue::NotIn(values.clone()),
            "Exists" => LabelValue::Exists,
            "DoesNotExist" => LabelValue::DoesNotExist,
            other => return Err(format!("'{other}' is not In, NotIn, Exists or DoesNotExist")),
        };
        Ok(LabelRequirement { key: key.clone(), value })
    };
    let requirements = equal.chain(selector.match_expressions.iter().map(requirement));
    Ok(LabelSelector { requirements: requirements.collect::<Result<_, _>>()? })
}

/// Parameters as the engine takes them.
fn text(params: Option<Value>) -> String {
    params.map(|params| params.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pulls::Component;

    fn object(spec: Value) -> Object {
        serde_json::from_value(json!({"metadata": {"name": "x"}, "spec": spec})).expect("an object")
    }

    #[test]
    fn a_filter_is_what_its_spec_names() {
        let builtin =
            json!({"builtin": "redact", "params": {"detectors": ["card"]}, "limits": {"batch_ms": 5}});
        let none: Pulled = Err("it isn't pulled yet".to_owned());
        let spec = installed(&object(builtin), &None, &none);
        assert_eq!(spec.filter, Ok(FilterRef::Name("redact".to_owned())));
        assert_eq!((spec.params.as_str(), spec.limits["batch_ms"]), (r#"{"detectors":["card"]}"#, 5));

        let config_map = object(json!({"configMap": {"namespace": "logs", "name": "mine", "key": "f.wasm"}}));
        assert_eq!(config_map_of(&config_map).expect("one").name, "mine");
        let data = |data: Value| -> ConfigMap {
            Some(Ok(Arc::new(serde_json::from_value(data).expect("a ConfigMap"))))
        };
        let label = "logs/mine/f.wasm".to_owned();
        let signed = data(json!({"binaryData": {"f.wasm": "AGFzbQ=="}, "data": {"f.wasm.sig": "sig"}}));
        let component =
            FilterRef::Component { label, bytes: b"\0asm".to_vec(), signature: Some(b"sig".to_vec()) };
        assert_eq!(installed(&config_map, &signed, &none).filter, Ok(component));
        for (known, why) in [
            (None, "isn't read yet"),
            (Some(Err("there is none".to_owned())), "there is none"),
            (data(json!({})), "no key 'f.wasm'"),
            (data(json!({"binaryData": {"f.wasm": "?"}})), "isn't base64"),
        ] {
            let refused = installed(&config_map, &known, &none).filter.expect_err(why);
            assert!(refused.contains(why), "{refused}");
        }
        let reference = format!("ghcr.io/b@{}", weir_trust::Digest::of(b""));
        let oci = object(json!({"oci": {"reference": reference}}));
        assert_eq!(artifact_of(&oci).map(|it| it.map(|it| it.to_string())), Some(Ok(reference.clone())));
        let pulled: Pulled = Ok(Arc::new(Component { bytes: b"x".to_vec(), signature: None }));
        let component =
            FilterRef::Component { label: reference.clone(), bytes: b"x".to_vec(), signature: None };
        assert_eq!(installed(&oci, &None, &pulled).filter, Ok(component));
        for (spec, why) in [
            (json!({"oci": {"reference": "ghcr.io/b:1"}}), "a tag may change"),
            (json!({"oci": {"reference": reference}}), "isn't pulled yet"),
            (json!({}), "names no filter"),
            (json!({"builtin": 3}), "spec"),
        ] {
            let refused = installed(&object(spec), &None, &none).filter.expect_err(why);
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn a_policy_is_what_its_spec_says_or_covers_all_and_is_refused() {
        let spec = policy(&object(json!({
            "filters": [{"name": "redact", "params": {"mode": "mask"}}],
            "namespaces": {"names": ["pay-*"], "selector": {"matchLabels": {"tier": "web"}}},
            "pods": {"selector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["db"]}]}},
            "onFailure": "Refuse",
        })));
        assert_eq!(spec.scope.namespaces, ["pay-*"]);
        let requirement = |key: &str, value| LabelRequirement { key: key.to_owned(), value };
        let tier = requirement("tier", LabelValue::In(vec!["web".to_owned()]));
        assert_eq!(spec.scope.namespace_selector.expect("one").requirements, [tier]);
        let app = requirement("app", LabelValue::NotIn(vec!["db".to_owned()]));
        assert_eq!(spec.scope.pod_selector.expect("one").requirements, [app]);
        assert_eq!(spec.on_failure, PolicyFailure::Refuse);
        assert_eq!(spec.filters.expect("filters")[0].params, r#"{"mode":"mask"}"#);

        for spec in [
            json!({"filters": [{"name": "redact"}]}),
            json!({"filters": "redact", "namespaces": {}}),
            json!({"filters": [{"name": "redact"}], "namespaces": {"selector": {"matchExpressions": [{"key": "a", "operator": "Like"}]}}}),
        ] {
            let unknown = policy(&object(spec.clone()));
            assert!(unknown.filters.is_err() && unknown.scope == PolicyScope::default(), "{spec}");
        }
    }
}
