{{/*
All templates here take one dict:
  root       the module chart's context ($)
  settings   the values of postgres-init (in a module: index .Values "postgres-init")
  component  the module's name
  database   host, port, name, username, extensions (optional)
  secret     name of the Secret with the module's own `username` and `password`
*/}}

{{/* Name of the Job's pods, without the hash. */}}
{{- define "postgres-init.component" -}}
{{ .component }}-postgres-init
{{- end }}

{{- define "postgres-init.jobSpec" -}}
{{- $labels := dict "root" .root "component" (include "postgres-init.component" .) -}}
backoffLimit: {{ .settings.backoffLimit }}
activeDeadlineSeconds: {{ mul .settings.deadlineSeconds (add1 .settings.backoffLimit) }}
podFailurePolicy:
  rules:
    - action: Ignore
      onPodConditions: [{type: DisruptionTarget, status: "True"}]
    # Bad input, not ours, needs a person: another attempt would end the same. 3 is worth one.
    - action: FailJob
      onExitCodes: {containerName: postgres-init, operator: In, values: [1, 2, 4]}
template:
  metadata:
    labels:
      {{- include "openg2p.podLabels" $labels | nindent 6 }}
  spec:
    restartPolicy: Never
    automountServiceAccountToken: false
    enableServiceLinks: false
    securityContext:
      {{- include "openg2p.podSecurity" (dict "uid" 1001) | nindent 6 }}
    containers:
      - name: postgres-init
        image: {{ include "openg2p.image" .settings.image | quote }}
        imagePullPolicy: {{ .settings.image.pullPolicy }}
        args:
          - provision
          - {{ printf "--host=%s" .database.host | include "openg2p.literal" }}
          - --port={{ .database.port }}
          - --provisioner-username-file=/run/openg2p/provisioner/username
          - --provisioner-password-file=/run/openg2p/provisioner/password
          - {{ printf "--maintenance-database=%s" .settings.provisioner.database | include "openg2p.literal" }}
          - {{ printf "--database=%s" .database.name | include "openg2p.literal" }}
          - {{ printf "--username=%s" .database.username | include "openg2p.literal" }}
          - --password-file=/run/openg2p/database/password
          {{- $owner := .settings.owner | default (printf "%s/%s" .root.Release.Namespace .component) }}
          - {{ printf "--owner=%s" $owner | include "openg2p.literal" }}
          {{- with .database.extensions }}
          - {{ printf "--extensions=%s" (join "," .) | include "openg2p.literal" }}
          {{- end }}
          - --deadline={{ .settings.deadlineSeconds }}s
          - --refused-deadline={{ .settings.refusedSeconds }}s
        securityContext:
          {{- include "openg2p.containerSecurity" . | nindent 10 }}
        resources:
          {{- toYaml .settings.resources | nindent 10 }}
        volumeMounts:
          - {name: provisioner, mountPath: /run/openg2p/provisioner, readOnly: true}
          - {name: database, mountPath: /run/openg2p/database, readOnly: true}
    volumes:
      - name: provisioner
        secret: {secretName: {{ .settings.provisioner.existingSecret | quote }}, defaultMode: 0440}
      - name: database
        secret: {secretName: {{ .secret | quote }}, defaultMode: 0440}
{{- end }}

{{/*
The Job and its network policies. A Job's template cannot be changed, so its name carries a hash of it: a changed database makes a new
Job, an unchanged one is left alone. It is no hook: when the server is part of the same release, a hook would wait for it for ever.
Finished Jobs stay, for their logs, until the next change.
*/}}
{{- define "postgres-init.job" -}}
{{- $spec := include "postgres-init.jobSpec" . -}}
{{- $component := include "postgres-init.component" . -}}
{{- $labels := dict "root" .root "component" $component -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ printf "%s-%s" $component ($spec | sha256sum | trunc 8) | quote }}
  labels:
    {{- include "openg2p.labels" $labels | nindent 4 }}
spec:
  {{- $spec | nindent 2 }}
{{- if .settings.networkPolicy.enabled }}
---
{{ include "openg2p.egress" (dict "root" .root "component" $component "to" (list (dict "component" "postgresql" "port" 5432)) "extra" .settings.networkPolicy.extraEgress) }}
---
{{ include "openg2p.ingress" (dict "root" .root "component" $component "target" "postgresql" "port" 5432 "from" (list $component)) }}
{{- end }}
{{- end }}

{{/*
An init container that ends when the module can log in on its own database and all of "tables" are there, and fails with the reason
when its time is over. An open port proves neither. It mounts the pod's volume `database`.
*/}}
{{- define "postgres-init.wait" -}}
- name: wait-for-database
  image: {{ include "openg2p.image" .settings.image | quote }}
  imagePullPolicy: {{ .settings.image.pullPolicy }}
  args:
    - wait
    - {{ printf "--host=%s" .database.host | include "openg2p.literal" }}
    - --port={{ .database.port }}
    - {{ printf "--database=%s" .database.name | include "openg2p.literal" }}
    - {{ printf "--username=%s" .database.username | include "openg2p.literal" }}
    - --password-file=/run/openg2p/database/password
    {{- range .tables }}
    - --table={{ . }}
    {{- end }}
    - --deadline={{ .settings.waitSeconds }}s
    - --refused-deadline={{ .settings.refusedSeconds }}s
  securityContext:
    {{- include "openg2p.containerSecurity" . | nindent 4 }}
  resources:
    {{- toYaml .settings.resources | nindent 4 }}
  volumeMounts:
    - {name: database, mountPath: /run/openg2p/database, readOnly: true}
{{- end }}
