{{- define "mlflow.selector" -}}
app.kubernetes.io/name: mlflow
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mlflow.labels" -}}
{{ include "mlflow.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: yolo-lifecycle
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* Values of the Host header, each with any port. */}}
{{- define "mlflow.allowedHosts" -}}
{{- $service := printf "%s.%s" .Release.Name .Release.Namespace }}
{{- $hosts := list .Release.Name $service (printf "%s.svc" $service) (printf "%s.svc.cluster.local" $service) "localhost" "127.0.0.1" }}
{{- $both := list }}
{{- range concat $hosts .Values.allowedHosts }}{{ $both = append (append $both .) (printf "%s:*" .) }}{{ end }}
{{- join "," (uniq $both) }}
{{- end }}

{{- define "mlflow.container" -}}
image: {{ .Values.image.repository }}:{{ .Values.image.tag }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
envFrom:
  - secretRef:
      name: {{ .Values.existingSecret }}
  {{- if .Values.auth.enabled }}
  - secretRef:
      name: {{ .Values.auth.existingSecret }}
  {{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- /* Secrets that pull the images; an entry without a name is none. */}}
{{- define "mlflow.pullSecrets" -}}
{{- $found := list }}
{{- range . }}{{ with .name }}{{ $found = append $found (dict "name" .) }}{{ end }}{{ end }}
{{- $found | toJson }}
{{- end }}

{{- /* Where the server keeps artifacts. */}}
{{- define "mlflow.destination" -}}
{{- if eq .Values.artifacts.type "persistentVolumeClaim" }}/artifacts{{ else }}{{ (get .Values.artifacts .Values.artifacts.type).destination }}{{ end }}
{{- end }}
