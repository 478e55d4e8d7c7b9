{{/*
Every template here takes one dict. "root" is the chart's own context ($), "component" the name of the object and of its pods:
one component, one name, in one namespace.
*/}}

{{/* Labels by which a component's pods are found. They never change: selectors are immutable. */}}
{{- define "openg2p.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component | quote }}
{{- end }}

{{/* Labels of a pod: without the chart's version, which would restart every pod whenever any chart file changes. */}}
{{- define "openg2p.podLabels" -}}
{{ include "openg2p.selector" . }}
app.kubernetes.io/part-of: openg2p
{{- end }}

{{/* Labels of an object. */}}
{{- define "openg2p.labels" -}}
{{ include "openg2p.podLabels" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/*
A text for a container's variable or argument, as a YAML scalar. The kubelet puts another variable's value in the place of `$(NAME)` there, and
one `$` in that of two; with every `$` doubled, the program gets the text as it was given.
*/}}
{{- define "openg2p.literal" -}}
{{ . | toString | replace "$" "$$" | quote }}
{{- end }}

{{/* An image reference; takes the image's own values. */}}
{{- define "openg2p.image" -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}

{{/* A pod's security context; "uid" is the fixed user and group of its image. */}}
{{- define "openg2p.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .uid }}
runAsGroup: {{ .uid }}
fsGroup: {{ .uid }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* A container's security context. */}}
{{- define "openg2p.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/*
A Secret that is made once, for installations by plain Helm; the site engine makes its own before and names them in
`existingSecret`. "data" maps keys to values; an empty value becomes 32 random characters. What exists already is kept, also when the
release is removed: a new password for a database that remains would lock everybody out.
*/}}
{{- define "openg2p.secret" -}}
{{- $found := lookup "v1" "Secret" .root.Release.Namespace .name -}}
{{- $data := dict -}}
{{- if $found }}{{ $data = $found.data | default dict }}{{ end -}}
apiVersion: v1
kind: Secret
metadata:
  name: {{ .name | quote }}
  labels:
    {{- include "openg2p.labels" . | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
type: Opaque
data:
  {{- range $key, $value := .data }}
  {{- if hasKey $data $key }}
  {{ $key | quote }}: {{ index $data $key | quote }}
  {{- else }}
  {{ $key | quote }}: {{ $value | default (randAlphaNum 32) | b64enc | quote }}
  {{- end }}
  {{- end }}
{{- end }}
