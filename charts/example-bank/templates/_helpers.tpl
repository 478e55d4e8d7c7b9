{{- define "example-bank.databaseSecret" -}}
{{ .Values.database.existingSecret | default "example-bank-database" }}
{{- end }}

{{- define "example-bank.commonEnv" -}}
- {name: DATABASE_HOST, value: {{ include "openg2p.literal" .Values.database.host }}}
- {name: DATABASE_PORT, value: {{ .Values.database.port | quote }}}
- {name: DATABASE_NAME, value: {{ include "openg2p.literal" .Values.database.name }}}
- {name: DATABASE_CREDENTIALS, value: /run/openg2p/database}
- {name: REDIS_HOST, value: {{ include "openg2p.literal" .Values.redis.host }}}
- {name: REDIS_PORT, value: {{ .Values.redis.port | quote }}}
- {name: REDIS_DATABASE, value: {{ .Values.redis.database | quote }}}
- {name: REDIS_PASSWORD_FILE, value: /run/openg2p/redis/password}
- {name: TZ, value: {{ include "openg2p.literal" .Values.timezone }}}
{{- end }}

{{- define "example-bank.apiEnv" -}}
{{ include "example-bank.commonEnv" . }}
- {name: EXAMPLE_BANK_HOST, value: "0.0.0.0"}
- {name: EXAMPLE_BANK_PORT, value: "8000"}
- {name: EXAMPLE_BANK_LOGGING_LEVEL, value: {{ .Values.packageLogLevel | quote }}}
{{- end }}

{{- define "example-bank.volumes" -}}
- {name: tmp, emptyDir: {}}
- name: database
  secret: {secretName: {{ include "example-bank.databaseSecret" . | quote }}, defaultMode: 0440}
- name: redis
  secret:
    secretName: {{ .Values.redis.existingSecret | quote }}
    defaultMode: 0440
    items: [{key: password, path: password}]
{{- end }}

{{- define "example-bank.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: database, mountPath: /run/openg2p/database, readOnly: true}
- {name: redis, mountPath: /run/openg2p/redis, readOnly: true}
{{- end }}

{{/* The accounts' ConfigMap is named by its content, as the Job is: a Job that starts late must not see another list. */}}
{{- define "example-bank.accountsName" -}}
example-bank-accounts-{{ toJson .Values.accounts | sha256sum | trunc 8 }}
{{- end }}

{{- define "example-bank.migrateSpec" -}}
{{- $labels := dict "root" $ "component" "example-bank-migrate" }}
{{- $init := dict "root" $ "settings" (index .Values "postgres-init") "component" "example-bank" "database" .Values.database "secret" (include "example-bank.databaseSecret" .) -}}
backoffLimit: {{ .Values.migration.backoffLimit }}
activeDeadlineSeconds: {{ .Values.migration.deadlineSeconds }}
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
    initContainers:
      {{- include "postgres-init.wait" $init | nindent 6 }}
    containers:
      - name: migrate
        image: {{ include "openg2p.image" .Values.image | quote }}
        imagePullPolicy: {{ .Values.image.pullPolicy }}
        command: [python, /app/api/main.py, migrate]
        env:
          {{- include "example-bank.apiEnv" . | nindent 10 }}
        securityContext:
          {{- include "openg2p.containerSecurity" . | nindent 10 }}
        resources:
          {{- toYaml .Values.api.resources | nindent 10 }}
        volumeMounts:
          {{- include "example-bank.mounts" . | nindent 10 }}
          - {name: accounts, mountPath: /etc/example-bank, readOnly: true}
    volumes:
      {{- include "example-bank.volumes" . | nindent 6 }}
      - name: accounts
        configMap: {name: {{ include "example-bank.accountsName" . | quote }}}
{{- end }}
