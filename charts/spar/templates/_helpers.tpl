{{- define "spar.databaseSecret" -}}
{{ .Values.database.existingSecret | default "spar-database" }}
{{- end }}

{{- define "spar.commonEnv" -}}
- {name: DATABASE_HOST, value: {{ include "openg2p.literal" .Values.database.host }}}
- {name: DATABASE_PORT, value: {{ .Values.database.port | quote }}}
- {name: DATABASE_NAME, value: {{ include "openg2p.literal" .Values.database.name }}}
- {name: DATABASE_CREDENTIALS, value: /run/openg2p/database}
- {name: HTTP_TIMEOUT_SECONDS, value: {{ .Values.httpTimeoutSeconds | quote }}}
{{- end }}

{{- define "spar.mapperEnv" -}}
{{ include "spar.commonEnv" . }}
- {name: SPAR_MAPPER_HOST, value: "0.0.0.0"}
- {name: SPAR_MAPPER_PORT, value: "8000"}
- {name: SPAR_MAPPER_LOGGING_LEVEL, value: {{ .Values.packageLogLevel | quote }}}
- {name: SPAR_MAPPER_OAUTH_TOKEN_URL, value: {{ include "openg2p.literal" .Values.partnerKeys.tokenUrl }}}
- {name: SPAR_MAPPER_OAUTH_CLIENT_ID, value: {{ include "openg2p.literal" .Values.partnerKeys.clientId }}}
- {name: SPAR_MAPPER_OAUTH_APPLICATION_ID, value: {{ include "openg2p.literal" .Values.partnerKeys.applicationId }}}
- {name: SPAR_MAPPER_JWT_VERIFY_URL, value: {{ include "openg2p.literal" .Values.partnerKeys.verifyUrl }}}
- {name: SPAR_MAPPER_DEFAULT_CALLBACK_TIMEOUT, value: {{ .Values.mapper.callbackTimeoutSeconds | quote }}}
- {name: SPAR_MAPPER_CALLBACK_SENDER_ID, value: {{ include "openg2p.literal" .Values.mapper.callbackSenderId }}}
{{- with .Values.mapper.callbackUrl }}
- {name: SPAR_MAPPER_DEFAULT_CALLBACK_URL, value: {{ include "openg2p.literal" . }}}
{{- end }}
- {name: OAUTH_CLIENT_SECRET_FILE, value: /run/openg2p/partner-keys/secret}
{{- end }}

{{- define "spar.selfServiceEnv" -}}
{{ include "spar.commonEnv" . }}
- {name: SPAR_SELFSERVICE_HOST, value: "0.0.0.0"}
- {name: SPAR_SELFSERVICE_PORT, value: "8000"}
- {name: SPAR_SELFSERVICE_LOGGING_LEVEL, value: {{ .Values.packageLogLevel | quote }}}
- {name: SPAR_SELFSERVICE_MAPPER_API_URL, value: {{ include "openg2p.literal" .Values.selfService.mapperUrl }}}
- {name: SPAR_SELFSERVICE_MAPPER_API_TIMEOUT, value: {{ .Values.selfService.mapperTimeoutSeconds | quote }}}
- {name: SPAR_SELFSERVICE_AUTH_ENABLED, value: "true"}
- {name: SPAR_SELFSERVICE_AUTH_DEFAULT_ISSUERS, value: {{ toJson .Values.selfService.auth.issuers | include "openg2p.literal" }}}
- {name: SPAR_SELFSERVICE_AUTH_DEFAULT_AUDIENCES, value: {{ toJson .Values.selfService.auth.audiences | include "openg2p.literal" }}}
- {name: SPAR_SELFSERVICE_AUTH_DEFAULT_JWKS_URLS, value: {{ toJson .Values.selfService.auth.jwksUrls | include "openg2p.literal" }}}
{{- end }}

{{- define "spar.mapperVolumes" -}}
- {name: tmp, emptyDir: {}}
- name: database
  secret: {secretName: {{ include "spar.databaseSecret" . | quote }}, defaultMode: 0440}
- name: partner-keys
  secret:
    secretName: {{ .Values.partnerKeys.existingSecret | quote }}
    defaultMode: 0440
    items: [{key: {{ .Values.partnerKeys.clientId | quote }}, path: secret}]
{{- end }}

{{- define "spar.mapperMounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: database, mountPath: /run/openg2p/database, readOnly: true}
- {name: partner-keys, mountPath: /run/openg2p/partner-keys, readOnly: true}
{{- end }}

{{- define "spar.migrateSpec" -}}
{{- $labels := dict "root" $ "component" "spar-migrate" }}
{{- $init := dict "root" $ "settings" (index .Values "postgres-init") "component" "spar" "database" .Values.database "secret" (include "spar.databaseSecret" .) -}}
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
      {{- if .Values.selfService.enabled }}
      # Both services keep their tables in one database; one after the other, each makes its own.
      - name: self-service
        image: {{ include "openg2p.image" .Values.image | quote }}
        imagePullPolicy: {{ .Values.image.pullPolicy }}
        command: [python, /app/self-service/main.py, migrate]
        env:
          {{- include "spar.selfServiceEnv" . | nindent 10 }}
        securityContext:
          {{- include "openg2p.containerSecurity" . | nindent 10 }}
        resources:
          {{- toYaml .Values.selfService.resources | nindent 10 }}
        volumeMounts:
          {{- include "spar.mapperMounts" . | nindent 10 }}
      {{- end }}
    containers:
      - name: mapper
        image: {{ include "openg2p.image" .Values.image | quote }}
        imagePullPolicy: {{ .Values.image.pullPolicy }}
        command: [python, /app/mapper/main.py, migrate]
        env:
          {{- include "spar.mapperEnv" . | nindent 10 }}
        securityContext:
          {{- include "openg2p.containerSecurity" . | nindent 10 }}
        resources:
          {{- toYaml .Values.mapper.resources | nindent 10 }}
        volumeMounts:
          {{- include "spar.mapperMounts" . | nindent 10 }}
    volumes:
      {{- include "spar.mapperVolumes" . | nindent 6 }}
{{- end }}
