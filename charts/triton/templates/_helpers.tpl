{{/* The prefix of every object's name: the release's name, as the contract with the DAG says. */}}
{{- define "triton.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride -}}
{{- end -}}

{{/* What an object is for: a served model, or its candidate. Argument: the model. */}}
{{- define "triton.component" -}}
{{- default .name .component -}}
{{- end -}}

{{/* Name of one model's objects. Arguments: root, model. */}}
{{- define "triton.modelName" -}}
{{- printf "%s-%s" (include "triton.fullname" .root) (include "triton.component" .model) -}}
{{- end -}}

{{/* Name of one model's pod of `helm test`. Arguments: root, model. */}}
{{- define "triton.testName" -}}
{{- printf "%s-test" (include "triton.modelName" .) -}}
{{- end -}}

{{/* Name of one model's Job of `helm test`: a Job's name is a label of its pods. Arguments: root, model. */}}
{{- define "triton.latencyName" -}}
{{- printf "%s-latency" (include "triton.modelName" . | trunc 55 | trimSuffix "-") -}}
{{- end -}}

{{/* What selects one model's pods; never changes in a release's life. Arguments: root, model. */}}
{{- define "triton.selectorLabels" -}}
app.kubernetes.io/name: triton
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ include "triton.component" .model }}
{{- end -}}

{{/* Labels of every object. Arguments: root, model (left out for objects that all models share). */}}
{{- define "triton.labels" -}}
{{- if .model -}}
{{ include "triton.selectorLabels" . }}
{{- with .model.component }}
yolo-lifecycle/track: candidate
{{- end }}
{{- else -}}
app.kubernetes.io/name: triton
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}
app.kubernetes.io/part-of: yolo-lifecycle
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "triton.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "triton.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "triton.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}

{{/* How many pods a rollout runs besides, and how many it may lack. */}}
{{- define "triton.surge" -}}
maxSurge: {{ .Values.strategy.maxSurge }}
maxUnavailable: {{ .Values.strategy.maxUnavailable }}
{{- end -}}

{{/*
Seconds that a rollout may get nowhere: a pod ends in its grace period, where the new one needs its room, and the new one
starts; four minutes are for what comes before the probe: the image, the templates, a node that is added.
*/}}
{{- define "triton.progressDeadline" -}}
{{- if kindIs "invalid" .Values.progressDeadlineSeconds -}}
{{- $startup := mul .Values.probes.startup.periodSeconds .Values.probes.startup.failureThreshold -}}
{{- add $startup .Values.terminationGracePeriodSeconds 240 -}}
{{- else -}}
{{- int .Values.progressDeadlineSeconds -}}
{{- end -}}
{{- end -}}

{{/* One probe. Arguments: path, port, settings. */}}
{{- define "triton.probe" -}}
httpGet:
  path: {{ .path }}
  port: {{ .port }}
{{ toYaml .settings }}
{{- end -}}

{{/* The live models: those that have a version, as {"models": [...]} in JSON: the only way out of a template. */}}
{{- define "triton.served" -}}
{{- $served := list -}}
{{- range .Values.models -}}
{{- if not (kindIs "invalid" .version) -}}{{- $served = append $served . -}}{{- end -}}
{{- end -}}
{{- dict "models" $served | toJson -}}
{{- end -}}

{{/*
The candidates, each as the model that it would become: the live entry with the candidate's pin, for a component apart, so that
no selector of the live model finds its pods.
*/}}
{{- define "triton.candidates" -}}
{{- $candidates := list -}}
{{- range .Values.models -}}
{{- if .candidate -}}
{{- $component := dict "component" (printf "%s-candidate" .name) "candidate" nil -}}
{{- $candidates = append $candidates (mergeOverwrite (deepCopy .) (dict "runId" "" "codeCommit" "") .candidate $component) -}}
{{- end -}}
{{- end -}}
{{- dict "models" $candidates | toJson -}}
{{- end -}}

{{/* Everything that gets a server: live models and candidates. */}}
{{- define "triton.servers" -}}
{{- $live := (include "triton.served" . | fromJson).models -}}
{{- dict "models" (concat $live (include "triton.candidates" . | fromJson).models) | toJson -}}
{{- end -}}

{{/* The claim of the cache. */}}
{{- define "triton.cacheClaim" -}}
{{- default (printf "%s-cache" (include "triton.fullname" .)) .Values.cache.persistentVolumeClaim.existingClaim -}}
{{- end -}}

{{/* The Secret with the keys of the bucket; empty where the nodes or the ServiceAccount may read it. */}}
{{- define "triton.s3Secret" -}}
{{- with .Values.modelRepository.s3 -}}
{{- if .existingSecret -}}
{{- .existingSecret -}}
{{- else if .accessKeyId -}}
{{- printf "%s-s3" (include "triton.fullname" $) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Secrets that pull the images; an entry without a name is none. */}}
{{- define "triton.pullSecrets" -}}
{{- $found := list }}
{{- range . }}{{ with .name }}{{ $found = append $found (dict "name" .) }}{{ end }}{{ end }}
{{- $found | toJson }}
{{- end }}
