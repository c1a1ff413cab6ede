{{- define "postgresql.selector" -}}
app.kubernetes.io/name: postgresql
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "postgresql.common" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: yolo-lifecycle
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "postgresql.labels" -}}
{{ include "postgresql.selector" . }}
{{ include "postgresql.common" . }}
{{- end }}

{{- /* Not the server's, whose Service would select the job's pods. */}}
{{- define "postgresql.dumps.selector" -}}
app.kubernetes.io/name: postgresql-dumps
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "postgresql.dumps.labels" -}}
{{ include "postgresql.dumps.selector" . }}
{{ include "postgresql.common" . }}
{{- end }}

{{- /* (context database): where a role's password is. */}}
{{- define "postgresql.password" -}}
{{- $root := index . 0 }}
{{- if eq $root.Values.type "cloudnativepg" -}}
name: {{ $root.Values.existingSecret }}-{{ index . 1 }}
key: password
{{- else -}}
name: {{ $root.Values.existingSecret }}
key: {{ index . 1 }}-password
{{- end }}
{{- end }}
