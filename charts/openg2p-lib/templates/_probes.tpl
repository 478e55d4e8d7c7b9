{{/*
Probes of an HTTP service on the container port "http". A start may be slow when a whole environment starts on two cores; once started, the
probes are rare. There is no liveness check of the database: restarting a service does not mend a database.
*/}}
{{- define "openg2p.ping" -}}
startupProbe:
  httpGet: {path: /ping, port: http}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: {{ div .startSeconds 2 }}
readinessProbe:
  httpGet: {path: /ping, port: http}
  periodSeconds: 10
  timeoutSeconds: 3
livenessProbe:
  httpGet: {path: /ping, port: http}
  periodSeconds: 30
  timeoutSeconds: 10
  failureThreshold: 4
{{- end }}

{{/* Probes of a Celery process: is the file that its own loop touches young enough? */}}
{{- define "openg2p.heartbeat" -}}
startupProbe:
  exec: {command: [heartbeat, "30"]}
  periodSeconds: 3
  timeoutSeconds: 3
  failureThreshold: {{ div .startSeconds 3 }}
readinessProbe:
  exec: {command: [heartbeat, "30"]}
  periodSeconds: 20
  timeoutSeconds: 5
livenessProbe:
  exec: {command: [heartbeat, "180"]}
  periodSeconds: 60
  timeoutSeconds: 5
  failureThreshold: 2
{{- end }}
