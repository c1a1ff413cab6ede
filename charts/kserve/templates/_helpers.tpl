{{/* The prefix of every object's name, as in charts/triton. */}}
{{- define "kserve.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride -}}
{{- end -}}

{{/* Name of one model's Service: the one that charts/triton gives it, so that clients ask the same address. Arguments: root, model. */}}
{{- define "kserve.modelName" -}}
{{- printf "%s-%s" (include "kserve.fullname" .root) (replace "_" "-" .model.name) -}}
{{- end -}}

{{/* Name of an InferenceService, apart from the Services, since KServe may make one of its name. Argument: the name of what it serves. */}}
{{- define "kserve.isvcName" -}}
{{- printf "%s-kserve" . -}}
{{- end -}}

{{/* The InferenceService that serves a model: its own, or that of the release. Arguments: root, model. */}}
{{- define "kserve.isvcOf" -}}
{{- ternary (include "kserve.modelName" .) (include "kserve.fullname" .root) (eq .root.Values.mode "single") | include "kserve.isvcName" -}}
{{- end -}}

{{/* Labels of every object. KServe hands those of an InferenceService on to its pods: nothing in them changes by itself. */}}
{{- define "kserve.labels" -}}
app.kubernetes.io/name: triton
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: yolo-lifecycle
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "kserve.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "kserve.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The annotated Secret with the bucket's keys; empty where the ServiceAccount itself may read it. */}}
{{- define "kserve.storageSecret" -}}
{{- with .Values.storage -}}
{{- if .existingSecret -}}
{{- .existingSecret -}}
{{- else if .accessKeyId -}}
{{- printf "%s-storage" (include "kserve.fullname" $) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What KServe reads of the Secret's annotations: which store it is, and how it is asked. */}}
{{- define "kserve.storageAnnotations" -}}
{{- with .Values.storage -}}
{{- if .endpoint }}
serving.kserve.io/s3-endpoint: {{ .endpoint | quote }}
{{- end }}
serving.kserve.io/s3-region: {{ .region | quote }}
serving.kserve.io/s3-usehttps: {{ ternary "1" "0" .https | quote }}
serving.kserve.io/s3-verifyssl: {{ ternary "1" "0" .verifyCertificate | quote }}
serving.kserve.io/s3-usevirtualbucket: {{ ternary "false" "true" .pathStyle | quote }}
{{- end -}}
{{- end -}}

{{/* The published folder of a version, or the folder of a model that is not made here. Argument: the model. */}}
{{- define "kserve.uri" -}}
{{- if .source -}}{{- trimSuffix "/" .source.s3 -}}{{- else -}}{{- .storageUri | default "" | trimSuffix "/" -}}{{- end -}}
{{- end -}}

{{/*
The Triton model folder itself: a published folder holds it under the model's name. The slash at the end matters: KServe takes an
address for the beginning of keys, and …-1 would bring …-10 along. Argument: the model.
*/}}
{{- define "kserve.folderUri" -}}
{{- $uri := include "kserve.uri" . -}}
{{- ternary $uri (printf "%s/%s" $uri .name) (not (empty .source)) | printf "%s/" -}}
{{- end -}}

{{/* What stands for the pin in a label: the last part of a published folder's address is never given twice. Argument: the model. */}}
{{- define "kserve.pin" -}}
{{- if .source -}}
{{- printf "folder-%s" (include "kserve.uri" . | sha256sum | trunc 16) -}}
{{- else -}}
{{- include "kserve.uri" . | base -}}
{{- end -}}
{{- end -}}

{{/* The models that have a version or a source, as {"models": [...]} in JSON. */}}
{{- define "kserve.served" -}}
{{- $served := list -}}
{{- range .Values.models -}}
{{- if or .source (not (kindIs "invalid" .version)) -}}{{- $served = append $served . -}}{{- end -}}
{{- end -}}
{{- dict "models" $served | toJson -}}
{{- end -}}

{{/*
The InferenceServices, as {"services": [{"name", "models", "component"}]} in JSON: one for each model, or one for all of the
release.
*/}}
{{- define "kserve.services" -}}
{{- $served := (include "kserve.served" . | fromJson).models -}}
{{- $services := list -}}
{{- if eq .Values.mode "single" -}}
{{- range $served -}}
{{- $name := include "kserve.isvcOf" (dict "root" $ "model" .) -}}
{{- $services = append $services (dict "name" $name "models" (list .) "component" .name) -}}
{{- end -}}
{{- else if $served -}}
{{- $services = append $services (dict "name" (include "kserve.fullname" . | include "kserve.isvcName") "models" $served "component" "") -}}
{{- end -}}
{{- dict "services" $services | toJson -}}
{{- end -}}

{{/*
"true" where the proxy of charts/triton stands in front of Triton (its files/haproxy.cfg says what for). Not with TrainedModels: KServe's
agent asks Triton itself, and a new version comes into a pod that stays.
*/}}
{{- define "kserve.proxied" -}}
{{- if and .Values.proxy.enabled (ne .Values.mode "trained-model") -}}true{{- end -}}
{{- end -}}

{{/* Triton's own ports, and those that clients reach, in JSON. */}}
{{- define "kserve.ports" -}}
{{- if include "kserve.proxied" . -}}
{"http": 18000, "grpc": 18001, "publicHttp": 8000, "publicGrpc": 8001}
{{- else -}}
{"http": 8080, "grpc": 8081, "publicHttp": 8080, "publicGrpc": 8081}
{{- end -}}
{{- end -}}

{{/* Seconds from the pod's deletion to Triton's SIGTERM: with the proxy, two more than its drain. */}}
{{- define "kserve.preStopSeconds" -}}
{{- add (int .Values.server.preStopSleepSeconds) (ternary 2 0 (eq (include "kserve.proxied" .) "true")) -}}
{{- end -}}

{{- define "kserve.probe" -}}
httpGet:
  path: {{ .path }}
  port: {{ .port }}
{{ toYaml .settings }}
{{- end -}}

{{/* What the server gets, with its GPUs. KServe compares a TrainedModel's memory with it. */}}
{{- define "kserve.resources" -}}
{{- $resources := deepCopy .Values.resources -}}
{{- with .Values.gpu -}}
{{- if .resourceName -}}
{{- $_ := set $resources "limits" (merge (dict .resourceName (int .count)) ($resources.limits | default dict)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{- define "kserve.pullSecrets" -}}
{{- $found := list }}
{{- range . }}{{ with .name }}{{ $found = append $found (dict "name" .) }}{{ end }}{{ end }}
{{- $found | toJson }}
{{- end }}
