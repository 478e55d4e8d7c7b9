{{/*
What a component reaches: "to" is a list of dicts with "component" and "port". Together with the other end's openg2p.ingress it
opens exactly these ways; all else is closed by the default deny of openg2p-commons. "extra" are raw egress rules of the values.
*/}}
{{- define "openg2p.egress" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ printf "%s-reaches" .component | quote }}
  labels:
    {{- include "openg2p.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "openg2p.selector" . | nindent 6 }}
  policyTypes: [Egress]
  egress:
    {{- range .to }}
    - to:
        - podSelector:
            matchLabels:
              app.kubernetes.io/part-of: openg2p
              app.kubernetes.io/component: {{ .component | quote }}
      ports:
        - protocol: TCP
          port: {{ .port }}
    {{- end }}
    {{- with .extra }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/*
Who reaches a component: "target" and "port" name it (it may belong to another chart; policies add up), "from" is a list of
components, "cidrs" of address ranges outside. "root" and "component" give the labels and the name of the policy.
*/}}
{{- define "openg2p.ingress" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ printf "%s-to-%s" .component .target | quote }}
  labels:
    {{- include "openg2p.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      app.kubernetes.io/part-of: openg2p
      app.kubernetes.io/component: {{ .target | quote }}
  policyTypes: [Ingress]
  ingress:
    - from:
        {{- range .from }}
        - podSelector:
            matchLabels:
              app.kubernetes.io/part-of: openg2p
              app.kubernetes.io/component: {{ . | quote }}
        {{- end }}
        {{- range .cidrs }}
        - ipBlock:
            cidr: {{ . | quote }}
        {{- end }}
      ports:
        - protocol: TCP
          port: {{ .port }}
{{- end }}
