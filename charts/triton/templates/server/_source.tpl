{{/*
Models that are not made here: `source.s3` of an entry is a whole Triton model folder, with its config.pbtxt, of any backend that
the image has.
*/}}

{{/* The folder's address, without a slash at its end; empty: the model is one of MLflow's. Argument: the model. */}}
{{- define "triton.sourceUri" -}}
{{- with .source -}}{{- trimSuffix "/" .s3 -}}{{- end -}}
{{- end -}}

{{/* What a pod is labelled with: the version, or what stands for the folder's address in a label. Argument: the model. */}}
{{- define "triton.pinLabel" -}}
{{- with include "triton.sourceUri" . -}}
{{- printf "folder-%s" (sha256sum . | trunc 16) -}}
{{- else -}}
{{- int64 .version -}}
{{- end -}}
{{- end -}}

{{/* How many of the release's models are not made here. */}}
{{- define "triton.foreignModels" -}}
{{- $found := list -}}
{{- range .Values.models -}}{{- if include "triton.sourceUri" . -}}{{- $found = append $found .name -}}{{- end -}}{{- end -}}
{{- dict "models" $found | toJson -}}
{{- end -}}

{{/* Where the bucket is and who may read it: modelRepository.s3, for every container of s5cmd. Argument: root. */}}
{{- define "triton.s3Env" -}}
{{- $s3 := .Values.modelRepository.s3 -}}
{{- with $s3.endpoint }}
- name: S3_ENDPOINT_URL
  value: {{ . | quote }}
{{- end }}
- name: AWS_REGION
  value: {{ $s3.region | quote }}
{{- with include "triton.s3Secret" . }}
{{- range $key := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ $key }}
  valueFrom:
    secretKeyRef:
      name: {{ include "triton.s3Secret" $ }}
      key: {{ $key }}
{{- end }}
{{- end }}
{{- end -}}

{{/* One container that brings the folder. Arguments: root, model, seconds (between two looks; 0: once, before the server starts). */}}
{{- define "triton.sourceContainer" -}}
name: {{ ternary "source" "watch-source" (eq (int .seconds) 0) }}
image: {{ .root.Values.modelRepository.s3.image }}
command:
  - /bin/sh
  - -c
args:
  - |
    {{- .root.Files.Get "files/source.sh" | trim | nindent 4 }}
env:
  - name: SOURCE
    value: {{ include "triton.sourceUri" .model | quote }}
  - name: MODEL
    value: {{ .model.name | quote }}
  - name: MODELS
    value: /models
  - name: FOLDER
    value: /source
  - name: CONFIG_NEEDED
    value: {{ not .root.Values.server.autoCompleteConfig | quote }}
  - name: SECONDS_BETWEEN
    value: {{ int .seconds | quote }}
  {{- include "triton.s3Env" .root | trim | nindent 2 }}
{{ include "triton.initCommon" . }}
volumeMounts:
  - name: models
    mountPath: /models
  - name: source
    mountPath: /source
{{- end -}}
