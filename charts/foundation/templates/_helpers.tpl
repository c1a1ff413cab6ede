{{- define "foundation.labels" -}}
app.kubernetes.io/name: foundation
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: yolo-lifecycle
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* The environments that this cluster runs. */}}
{{- define "foundation.environments" -}}
{{- $names := list }}
{{- range .Values.environments }}{{ if .enabled }}{{ $names = append $names .name }}{{ end }}{{ end }}
{{- $names | toJson }}
{{- end }}

{{- /* (list context names): ServiceAccounts as subjects of a binding. */}}
{{- define "foundation.subjects" -}}
{{- $root := index . 0 }}
{{- range index . 1 }}
- kind: ServiceAccount
  name: {{ . }}
  namespace: {{ $root.Values.airflow.namespace }}
{{- end }}
{{- end }}

{{- /* The steps of workflows as a subject of a binding; nothing where there are none. */}}
{{- define "foundation.workflowSubject" -}}
{{- if .Values.workflows.enabled }}
- kind: ServiceAccount
  name: {{ .Values.workflows.account }}
  namespace: {{ .Values.podNamespace }}
{{- end }}
{{- end }}
