{{/* Name of the chart's objects. */}}
{{- define "weir.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "weir.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: agent
{{- end -}}

{{- define "weir.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "weir.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "weir.fullname" .) -}}
{{- end -}}

{{/* Of its value and policy: in a PriorityClass that there is, neither can be changed. */}}
{{- define "weir.priorityClass" -}}
{{- with .Values.priorityClass -}}
{{- if or .name (not .create) -}}
{{- .name -}}
{{- else -}}
{{- printf "%s-%d%s" (include "weir.fullname" $) (int .value) (ternary "-preempting" "" (eq .preemptionPolicy "PreemptLowerPriority")) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "weir.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The Secret with the agents' certificate. */}}
{{- define "weir.tlsSecret" -}}
{{- if eq .Values.tls.mode "existingSecret" -}}
{{- .Values.tls.existingSecret -}}
{{- else -}}
{{- printf "%s-tls" (include "weir.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* What `weir` is told of the agents' certificate: `pem`, the roots that it comes from. */}}
{{- define "weir.published" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: weir-ca
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "weir.labels" .root | nindent 4 }}
data:
  server-name: {{ include "weir.serverName" .root }}
  ca.crt: |
    {{- .pem | trim | nindent 4 }}
{{- end -}}

{{/* The Secret with what seals resume tokens. */}}
{{- define "weir.resumeSecret" -}}
{{- .Values.resume.existingSecret | default (printf "%s-resume" (include "weir.fullname" .)) -}}
{{- end -}}

{{/* The name that clients expect in that certificate. */}}
{{- define "weir.serverName" -}}
{{- printf "%s.%s.svc" (include "weir.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* The Service that leads to the agent of the caller's own node. */}}
{{- define "weir.localService" -}}
{{- printf "%s-local" (include "weir.fullname" .) -}}
{{- end -}}

{{/* All names in the certificate, as a YAML list. */}}
{{- define "weir.tlsNames" -}}
{{- $names := list (include "weir.serverName" .) (printf "%s.%s.svc" (include "weir.localService" .) .Release.Namespace) -}}
{{- toYaml (concat $names .Values.tls.extraNames | uniq) -}}
{{- end -}}

{{/* The agents' config file: the value `config`, and what follows from other values. */}}
{{- define "weir.config" -}}
{{- $tls := dict "cert" "/etc/weir/tls/tls.crt" "key" "/etc/weir/tls/tls.key" -}}
{{- if .Values.tls.clientCASecret -}}
{{- $_ := set $tls "client_ca" "/etc/weir/client-ca/ca.crt" -}}
{{- end -}}
{{- $own := dict
  "listen" (printf "%s:%d" .Values.bindAddress (int .Values.ports.grpc))
  "health_listen" (printf "%s:%d" .Values.bindAddress (int .Values.ports.health))
  "logs_dir" .Values.hostPaths.pods
  "cache_dir" "/var/cache/weir/compiled"
  "resume_key_file" "/etc/weir/resume/secret"
  "tls" $tls -}}
{{- if .Values.hostPaths.docker -}}
{{- $_ := set $own "logs_link_dirs" (list .Values.hostPaths.docker) -}}
{{- end -}}
{{- with .Values.registries -}}
{{- $registries := list -}}
{{- range $index, $registry := . -}}
{{- $entry := dict "host" $registry.host -}}
{{- if $registry.plainHTTP -}}
{{- $_ := set $entry "plain_http" true -}}
{{- end -}}
{{- if $registry.ca -}}
{{- $_ := set $entry "ca" (printf "/etc/weir/registries/%d/ca/ca.crt" $index) -}}
{{- end -}}
{{- if $registry.authSecret -}}
{{- $_ := set $entry "auth_file" (printf "/etc/weir/registries/%d/auth/config.json" $index) -}}
{{- end -}}
{{- $registries = append $registries $entry -}}
{{- end -}}
{{- $_ := set $own "registries" $registries -}}
{{- end -}}
{{- if .Values.policies -}}
{{- $_ := set $own "policies" (dict "folder" "/etc/weir/policies") -}}
{{- end -}}
{{- if eq (include "weir.customResources" .) "true" -}}
{{- $_ := set $own "custom_resources" true -}}
{{- end -}}
{{- mustMergeOverwrite (deepCopy .Values.config) $own | toYaml -}}
{{- end -}}

{{/* Whether agents act on Filters and FilterPolicies. A policy that is taken but not enforced is worse than none. */}}
{{- define "weir.customResources" -}}
{{- if and .Values.customResources.enabled (ne ((.Values.config.access).mode | default "kubernetes") "kubernetes") -}}
{{- fail "customResources.enabled takes config.access.mode: kubernetes, since agents ask the API server then; set customResources.enabled and crds.install to false for agents without it" -}}
{{- end -}}
{{- if and .Values.crds.install (not .Values.customResources.enabled) -}}
{{- fail "crds.install without customResources.enabled would have policies taken that nobody enforces; set both or none" -}}
{{- end -}}
{{- .Values.customResources.enabled -}}
{{- end -}}

{{/* Seconds that queries have to end, and after that a pod. */}}
{{- define "weir.graceSeconds" -}}
{{- add (.Values.config.drain_seconds | default 20 | int) 10 -}}
{{- end -}}
