{{- define "g2p-bridge.databaseSecret" -}}
{{ .Values.database.existingSecret | default "g2p-bridge-database" }}
{{- end }}

{{- define "g2p-bridge.commonEnv" -}}
- {name: DATABASE_HOST, value: {{ include "openg2p.literal" .Values.database.host }}}
- {name: DATABASE_PORT, value: {{ .Values.database.port | quote }}}
- {name: DATABASE_NAME, value: {{ include "openg2p.literal" .Values.database.name }}}
- {name: DATABASE_CREDENTIALS, value: /run/openg2p/database}
- {name: HTTP_TIMEOUT_SECONDS, value: {{ .Values.httpTimeoutSeconds | quote }}}
- {name: TZ, value: {{ include "openg2p.literal" .Values.timezone }}}
{{- end }}

{{- define "g2p-bridge.celeryEnv" -}}
{{ include "g2p-bridge.commonEnv" . }}
- {name: REDIS_HOST, value: {{ include "openg2p.literal" .Values.redis.host }}}
- {name: REDIS_PORT, value: {{ .Values.redis.port | quote }}}
- {name: REDIS_DATABASE, value: {{ .Values.redis.database | quote }}}
- {name: REDIS_PASSWORD_FILE, value: /run/openg2p/redis/password}
- {name: LOG_LEVEL, value: {{ .Values.logLevel | quote }}}
{{- end }}

{{- define "g2p-bridge.apiEnv" -}}
{{ include "g2p-bridge.commonEnv" . }}
- {name: G2P_BRIDGE_HOST, value: "0.0.0.0"}
- {name: G2P_BRIDGE_PORT, value: "8000"}
- {name: G2P_BRIDGE_LOGGING_LEVEL, value: {{ .Values.packageLogLevel | quote }}}
- {name: G2P_BRIDGE_OAUTH_TOKEN_URL, value: {{ include "openg2p.literal" .Values.partnerKeys.tokenUrl }}}
- {name: G2P_BRIDGE_OAUTH_CLIENT_ID, value: {{ include "openg2p.literal" .Values.partnerKeys.clientId }}}
- {name: G2P_BRIDGE_OAUTH_APPLICATION_ID, value: {{ include "openg2p.literal" .Values.partnerKeys.applicationId }}}
- {name: G2P_BRIDGE_JWT_VERIFY_URL, value: {{ include "openg2p.literal" .Values.partnerKeys.verifyUrl }}}
- {name: G2P_BRIDGE_MAX_UPLOAD_FILE_SIZE, value: {{ .Values.api.maxUploadBytes | int64 | quote }}}
- {name: OAUTH_CLIENT_SECRET_FILE, value: /run/openg2p/partner-keys/secret}
{{- end }}

{{- define "g2p-bridge.beatEnv" -}}
{{ include "g2p-bridge.celeryEnv" . }}
{{- with .Values.beat }}
- {name: G2P_BRIDGE_CELERY_BEAT_LOGGING_LEVEL, value: {{ $.Values.packageLogLevel | quote }}}
- {name: G2P_BRIDGE_CELERY_BEAT_MAPPER_RESOLVE_FREQUENCY, value: {{ .frequencies.mapperResolve | quote }}}
- {name: G2P_BRIDGE_CELERY_BEAT_FUNDS_AVAILABLE_CHECK_FREQUENCY, value: {{ .frequencies.fundsAvailableCheck | quote }}}
- {name: G2P_BRIDGE_CELERY_BEAT_FUNDS_BLOCKED_FREQUENCY, value: {{ .frequencies.fundsBlock | quote }}}
- {name: G2P_BRIDGE_CELERY_BEAT_FUNDS_DISBURSEMENT_FREQUENCY, value: {{ .frequencies.fundsDisbursement | quote }}}
- {name: G2P_BRIDGE_CELERY_BEAT_MT940_PROCESSOR_FREQUENCY, value: {{ .frequencies.statement | quote }}}
- {name: G2P_BRIDGE_CELERY_BEAT_MAPPER_RESOLVE_ATTEMPTS, value: {{ .attempts.mapperResolve | int64 | quote }}}
- {name: G2P_BRIDGE_CELERY_BEAT_FUNDS_AVAILABLE_CHECK_ATTEMPTS, value: {{ .attempts.fundsAvailableCheck | int64 | quote }}}
- {name: G2P_BRIDGE_CELERY_BEAT_FUNDS_BLOCKED_ATTEMPTS, value: {{ .attempts.fundsBlock | int64 | quote }}}
- {name: G2P_BRIDGE_CELERY_BEAT_FUNDS_DISBURSEMENT_ATTEMPTS, value: {{ .attempts.fundsDisbursement | int64 | quote }}}
- {name: G2P_BRIDGE_CELERY_BEAT_STATEMENT_PROCESS_ATTEMPTS, value: {{ .attempts.statement | int64 | quote }}}
- {name: G2P_BRIDGE_CELERY_BEAT_DISBURSEMENT_RETRY_THRESHOLD_MINUTES, value: {{ .retryThresholdMinutes | int64 | quote }}}
- {name: G2P_BRIDGE_CELERY_BEAT_NO_OF_TASKS_TO_PROCESS, value: {{ .tasksPerLook | int64 | quote }}}
- {name: G2P_BRIDGE_CELERY_BEAT_BATCH_FETCH_SIZE, value: {{ .batchFetchSize | int64 | quote }}}
- {name: G2P_BRIDGE_CELERY_BEAT_PENDING_BATCH_FETCH_SIZE, value: {{ .pendingBatchFetchSize | int64 | quote }}}
- {name: G2P_BRIDGE_CELERY_BEAT_PROCESS_FUTURE_DISBURSEMENT_SCHEDULES, value: {{ .processFutureSchedules | quote }}}
{{- end }}
{{- end }}

{{- define "g2p-bridge.workersEnv" -}}
{{ include "g2p-bridge.celeryEnv" . }}
- {name: TASK_SECONDS, value: {{ .Values.workers.taskSeconds | quote }}}
- {name: G2P_BRIDGE_CELERY_WORKERS_LOGGING_LEVEL, value: {{ .Values.packageLogLevel | quote }}}
- {name: G2P_BRIDGE_CELERY_WORKERS_MAPPER_RESOLVE_API_URL, value: {{ include "openg2p.literal" .Values.spar.resolveUrl }}}
- {name: G2P_BRIDGE_CELERY_WORKERS_BANK_FA_DECONSTRUCT_STRATEGY, value: {{ include "openg2p.literal" .Values.spar.bankAddressPattern }}}
- {name: G2P_BRIDGE_CELERY_WORKERS_SENDER_ID, value: {{ include "openg2p.literal" .Values.signing.senderId }}}
- {name: PRIVATE_KEY_FILE, value: {{ printf "/run/openg2p/signing/%s" .Values.signing.key | include "openg2p.literal" }}}
# The bank connectors are a library with a prefix of their own.
- {name: G2P_BRIDGE_CELERY_PRODUCERS_FUNDS_AVAILABLE_CHECK_URL_EXAMPLE_BANK, value: {{ printf "%s/check_funds" .Values.bank.url | include "openg2p.literal" }}}
- {name: G2P_BRIDGE_CELERY_PRODUCERS_FUNDS_BLOCK_URL_EXAMPLE_BANK, value: {{ printf "%s/block_funds" .Values.bank.url | include "openg2p.literal" }}}
- {name: G2P_BRIDGE_CELERY_PRODUCERS_FUNDS_DISBURSEMENT_URL_EXAMPLE_BANK, value: {{ printf "%s/initiate_payment" .Values.bank.url | include "openg2p.literal" }}}
{{- end }}

{{- define "g2p-bridge.databaseVolume" -}}
- {name: tmp, emptyDir: {}}
- name: database
  secret: {secretName: {{ include "g2p-bridge.databaseSecret" . | quote }}, defaultMode: 0440}
{{- end }}

{{- define "g2p-bridge.apiVolumes" -}}
{{ include "g2p-bridge.databaseVolume" . }}
- name: partner-keys
  secret:
    secretName: {{ .Values.partnerKeys.existingSecret | quote }}
    defaultMode: 0440
    items: [{key: {{ .Values.partnerKeys.clientId | quote }}, path: secret}]
{{- end }}

{{- define "g2p-bridge.celeryVolumes" -}}
{{ include "g2p-bridge.databaseVolume" . }}
- name: redis
  secret:
    secretName: {{ .Values.redis.existingSecret | quote }}
    defaultMode: 0440
    items: [{key: password, path: password}]
{{- end }}

{{- define "g2p-bridge.databaseMount" -}}
- {name: tmp, mountPath: /tmp}
- {name: database, mountPath: /run/openg2p/database, readOnly: true}
{{- end }}

{{- define "g2p-bridge.migrateSpec" -}}
{{- $labels := dict "root" $ "component" "g2p-bridge-migrate" }}
{{- $init := dict "root" $ "settings" (index .Values "postgres-init") "component" "g2p-bridge" "database" .Values.database "secret" (include "g2p-bridge.databaseSecret" .) -}}
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
          {{- include "g2p-bridge.apiEnv" . | nindent 10 }}
        securityContext:
          {{- include "openg2p.containerSecurity" . | nindent 10 }}
        resources:
          {{- toYaml .Values.api.resources | nindent 10 }}
        volumeMounts:
          {{- include "g2p-bridge.databaseMount" . | nindent 10 }}
          - {name: partner-keys, mountPath: /run/openg2p/partner-keys, readOnly: true}
    volumes:
      {{- include "g2p-bridge.apiVolumes" . | nindent 6 }}
{{- end }}
