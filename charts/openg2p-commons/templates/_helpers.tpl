{{/*
Settings as postgresql.conf has them, one a line. Inside of its quotes a backslash begins an escape, and a line must not end.
*/}}
{{- define "openg2p-commons.settings" -}}
{{- range $name, $value := . }}
{{- $name }} = '{{ $value | toString | replace "\\" "\\\\" | replace "'" "''" | replace "\n" "\\n" | replace "\r" "\\r" }}'{{ "\n" }}
{{- end }}
{{- end }}
