{{/*
Prometheus rules of one release. Text between backticks is Prometheus' own template, filled in when an alert fires.
Metrics are Triton's own (nv_…) and model.py's (yolo_model_info, yolo_request_errors_total); see docs/monitoring.md.
*/}}

{{/* What picks this release's series, inside braces. */}}
{{- define "triton.series" -}}
namespace="{{ .Release.Namespace }}",job="{{ .Release.Name }}"
{{- end -}}

{{/*
Triton's own series of this release, inside braces. <model> and <model>_encoded are ensembles around <model>_engine. What clients
asked and how long it took is told by the public names; waiting, computing and the reasons of failures by the engine: of an
ensemble Triton calls every failure OTHER, and a request with model_info is two at the engine.
*/}}
{{- define "triton.publicSeries" -}}
model!~".+_engine",{{ include "triton.series" . }}
{{- end -}}

{{- define "triton.engineSeries" -}}
_ensemble="",{{ include "triton.series" . }}
{{- end -}}

{{/* The same series as those of <model>; `asked` keeps the two public names apart, to be summed. Argument: an expression. */}}
{{- define "triton.ofModel" -}}
label_replace(label_replace({{ . }}, "asked", "$1", "model", "(.+)"), "model", "$1", "model", "(.+)_(engine|encoded)")
{{- end -}}

{{/* Labels of what is recorded and of alerts: every rule of every release has its own. */}}
{{- define "triton.seriesLabels" -}}
namespace: {{ .Release.Namespace | quote }}
job: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels and annotations that close every alert. Arguments: root, severity, name, summary, description. */}}
{{- define "triton.alertText" -}}
labels:
  severity: {{ .severity }}
  {{- include "triton.seriesLabels" .root | nindent 2 }}
annotations:
  summary: {{ .summary | quote }}
  description: {{ .description | quote }}
  {{- with .root.Values.monitoring.prometheusRule.runbookUrl }}
  runbook_url: {{ printf "%s#%s" . (lower $.name) | quote }}
  {{- end }}
{{- end -}}

{{/* A counter that has grown within the last five minutes, or has appeared; StatsD exporters forget when they restart. */}}
{{- define "triton.grown" -}}
max by (dag_id) ({{ . }}) > (max by (dag_id) ({{ . }} offset 5m) or max by (dag_id) ({{ . }}) * 0)
{{- end -}}

{{- define "triton.recordingRules" -}}
{{- $root := . -}}
{{- $training := .Values.monitoring.prometheusRule.training -}}
{{- $engine := include "triton.engineSeries" . -}}
# What Git says is served: this object comes out of the same commit as the Deployments.
{{- range $model := .Values.models }}
{{- if not (kindIs "invalid" $model.version) }}
- record: yolo:git_model:info
  expr: vector(1)
  labels:
    {{- include "triton.seriesLabels" $root | nindent 4 }}
    model: {{ $model.name | quote }}
    registered_model: {{ $model.registeredModel | quote }}
    version: {{ int64 $model.version | quote }}
    run_id: {{ $model.runId | default "" | quote }}
    sha256: {{ $model.sha256 | quote }}
    code_commit: {{ include "triton.codeCommit" (dict "root" $root "model" $model) | quote }}
{{- end }}
{{- end }}
# Models that are not made here have the address of their folder in place of a version.
{{- range $model := .Values.models }}
{{- with include "triton.sourceUri" $model }}
- record: yolo:git_source:info
  expr: vector(1)
  labels:
    {{- include "triton.seriesLabels" $root | nindent 4 }}
    model: {{ $model.name | quote }}
    source: {{ . | quote }}
{{- end }}
{{- end }}
# And what Git has under proof.
{{- range $model := (include "triton.candidates" . | fromJson).models }}
- record: yolo:git_candidate:info
  expr: vector(1)
  labels:
    {{- include "triton.seriesLabels" $root | nindent 4 }}
    model: {{ $model.name | quote }}
    registered_model: {{ $model.registeredModel | quote }}
    version: {{ int64 $model.version | quote }}
    run_id: {{ $model.runId | quote }}
    code_commit: {{ include "triton.codeCommit" (dict "root" $root "model" $model) | quote }}
{{- end }}
# Requests a second, however they ended.
- record: yolo:requests:rate5m
  expr: sum by (namespace, job, model) ({{ include "triton.ofModel" (printf `rate({__name__=~"nv_inference_request_success|nv_inference_request_failure",%s}[5m])` (include "triton.publicSeries" .)) }})
  labels:
    {{- include "triton.seriesLabels" . | nindent 4 }}
# Requests that failed without being the client's fault, whoever noticed: Triton, or the model's own code.
- record: yolo:requests_failed:rate5m
  expr: sum by (namespace, job, model) ({{ include "triton.ofModel" (printf `rate({__name__=~"nv_inference_request_failure|yolo_request_errors_total",reason!~"CANCELED|INVALID_ARG",%s}[5m])` $engine) }})
  labels:
    {{- include "triton.seriesLabels" . | nindent 4 }}
# What an autoscaler goes by: requests that wait or are being computed, and seconds that one waits on average. 0 and not
# nothing while no request comes: an autoscaler that sees nothing stays where it is.
- record: yolo:pending_requests:sum
  expr: sum by (namespace, job, model) ({{ include "triton.ofModel" (printf `nv_inference_pending_request_count{%s}` $engine) }})
  labels:
    {{- include "triton.seriesLabels" . | nindent 4 }}
- record: yolo:queue_seconds:rate5m
  expr: |
    sum by (namespace, job, model) ({{ include "triton.ofModel" (printf `rate(nv_inference_queue_duration_us{%s}[5m])` $engine) }}) / 1e6
    / clamp_min(sum by (namespace, job, model) ({{ include "triton.ofModel" (printf `rate(nv_inference_request_success{%s}[5m])` $engine) }}), 0.001)
  labels:
    {{- include "triton.seriesLabels" . | nindent 4 }}
{{- if $training.enabled }}
# Remembers when the DAG last succeeded (seconds since 1970): now, or what it was at the last evaluation.
- record: yolo:training_success:timestamp_seconds
  expr: |
    max(timestamp({{ include "triton.grown" (printf "airflow_dagrun_duration_count{dag_id=%q}" $training.dagId) }}))
    or
    max(last_over_time(yolo:training_success:timestamp_seconds{ {{- include "triton.series" . -}} }[{{ add $training.maxAgeDays 1 }}d]))
  labels:
    {{- include "triton.seriesLabels" . | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "triton.servingAlerts" -}}
{{- $series := include "triton.series" . -}}
{{- $engine := include "triton.engineSeries" . -}}
{{- $rule := .Values.monitoring.prometheusRule -}}
{{- $where := printf "%s/%s" .Release.Namespace .Release.Name -}}
{{- /* Of a model that is not made here, Triton's own series tell that it is loaded: they come with it, at zero. */}}
{{- $foreign := (include "triton.foreignModels" . | fromJson).models -}}
{{- $loaded := "" -}}
{{- if $foreign -}}
{{- $loaded = printf `nv_inference_request_success{model=~"%s",%s}` (join "|" $foreign) $series -}}
{{- end }}
- alert: YoloModelNotServed
  {{- if $foreign }}
  expr: |
    yolo:git_model:info{ {{- $series -}} } unless on (namespace, job, model) yolo_model_info{ {{- $series -}} }
    or
    yolo:git_source:info{ {{- $series -}} } unless on (namespace, job, model) {{ $loaded }}
  {{- else }}
  expr: yolo:git_model:info{ {{- $series -}} } unless on (namespace, job, model) yolo_model_info{ {{- $series -}} }
  {{- end }}
  for: {{ $rule.notReadyFor }}
  {{- include "triton.alertText" (dict "root" . "severity" "critical" "name" "YoloModelNotServed"
    "summary" (printf "%s: no server has model %s loaded" $where `{{ $labels.model }}`)
    "description" (printf "Git names %s, and no pod of %s answers for it, with this or any other version. Look at the pods of the component %s: `kubectl -n %s get pods`, then `describe` and `logs`." `{{ with $labels.source }}{{ . }}{{ else }}version {{ $labels.version }} of {{ $labels.registered_model }}{{ end }}` $where `{{ $labels.model }}` .Release.Namespace)) | nindent 2 }}
- alert: YoloServerNotReady
  expr: up{ {{- $series -}} } == 0 or (up{ {{- $series -}} } == 1 unless on (namespace, pod) {{ if $foreign }}(yolo_model_info{ {{- $series -}} } or {{ $loaded }}){{ else }}yolo_model_info{ {{- $series -}} }{{ end }})
  for: {{ $rule.notReadyFor }}
  {{- include "triton.alertText" (dict "root" . "severity" "warning" "name" "YoloServerNotReady"
    "summary" (printf "%s: pod %s does not serve" $where `{{ $labels.pod }}`)
    "description" (printf "%s. A new version that never becomes ready looks like this, while the old one goes on answering: `kubectl -n %s logs %s` says why in one line." `{{ if eq $value 0.0 }}Its metrics cannot be read{{ else }}Triton answers, but has no model loaded{{ end }}` .Release.Namespace `{{ $labels.pod }}`)) | nindent 2 }}
- alert: YoloRequestsFailing
  expr: yolo:requests_failed:rate5m{ {{- $series -}} } / yolo:requests:rate5m{ {{- $series -}} } > {{ $rule.maxFailureRatio }}
  for: 5m
  {{- include "triton.alertText" (dict "root" . "severity" "critical" "name" "YoloRequestsFailing"
    "summary" (printf "%s: %s of the requests to %s fail" $where `{{ $value | humanizePercentage }}` `{{ $labels.model }}`)
    "description" (printf "More than %v %% of the requests of the last 5 minutes failed, and not by the client's fault. If a rollout has just happened, revert its commit; the pods' logs name the error." (mulf $rule.maxFailureRatio 100))) | nindent 2 }}
- alert: YoloRequestsSlow
  expr: max by (namespace, job, model) ({{ include "triton.ofModel" (printf `nv_inference_request_summary_us{quantile="0.99",%s}` (include "triton.publicSeries" .)) }}) / 1e6 > {{ $rule.maxP99Seconds }}
  for: 10m
  {{- include "triton.alertText" (dict "root" . "severity" "warning" "name" "YoloRequestsSlow"
    "summary" (printf "%s: a request in a hundred to %s takes longer than %s" $where `{{ $labels.model }}` `{{ $value | humanizeDuration }}`)
    "description" (printf "The p99 of the slowest pod is over %v s. Queue time high: add replicas. Compute time high: the node is busy, or the new version is slower." $rule.maxP99Seconds)) | nindent 2 }}
- alert: YoloRequestsQueueing
  expr: |
    sum by (namespace, job, model) ({{ include "triton.ofModel" (printf "rate(nv_inference_queue_duration_us{%s}[5m])" $engine) }})
    / sum by (namespace, job, model) ({{ include "triton.ofModel" (printf "rate(nv_inference_request_success{%s}[5m])" $engine) }}) / 1e6 > {{ $rule.maxQueueSeconds }}
  for: 10m
  {{- include "triton.alertText" (dict "root" . "severity" "warning" "name" "YoloRequestsQueueing"
    "summary" (printf "%s: requests to %s wait for %s before they are begun" $where `{{ $labels.model }}` `{{ $value | humanizeDuration }}`)
    "description" (printf "More than %v s on average over 5 minutes: more requests arrive than the pods can do. Add replicas, or let the autoscaler." $rule.maxQueueSeconds)) | nindent 2 }}
- alert: YoloVersionNotInGit
  expr: |
    yolo_model_info{ {{- $series -}} }
    unless on (namespace, job, model, registered_model, version, sha256) yolo:git_model:info{ {{- $series -}} }
    or
    yolo_model_info{code_commit!="",{{ $series }}}
    and on (namespace, job, model) yolo:git_model:info{code_commit!="",{{ $series }}}
    unless on (namespace, job, model, code_commit) yolo:git_model:info{ {{- $series -}} }
  for: {{ $rule.rolloutFor }}
  {{- include "triton.alertText" (dict "root" . "severity" "warning" "name" "YoloVersionNotInGit"
    "summary" (printf "%s: pod %s serves version %s of %s%s, which Git does not name" $where `{{ $labels.pod }}` `{{ $labels.version }}` `{{ $labels.registered_model }}` `{{ with $labels.code_commit }} with the code of {{ . }}{{ end }}`)
    "description" (printf "Longer than a rollout takes. Either the rollout hangs (the new pods do not become ready), or somebody changed what is served without a commit. Compare argocd-apps/%s/%s/values.yaml with `kubectl -n %s get pods -L yolo-lifecycle/model-version`." .Release.Namespace .Release.Name .Release.Namespace)) | nindent 2 }}
- alert: YoloCandidateLeft
  expr: yolo:git_candidate:info{ {{- $series -}} }
  for: {{ $rule.candidateFor }}
  {{- include "triton.alertText" (dict "root" . "severity" "warning" "name" "YoloCandidateLeft"
    "summary" (printf "%s: version %s of %s is still under proof" $where `{{ $labels.version }}` `{{ $labels.registered_model }}`)
    "description" (printf "Its run takes it away when it decides, so that run was probably killed, or a merge request waits. If nothing of it is running, remove the line candidate of %s from argocd-apps/%s/%s/values.yaml: its pod is freed, and what is live does not change." `{{ $labels.model }}` .Release.Namespace .Release.Name)) | nindent 2 }}
{{- end -}}

{{- define "triton.deliveryAlerts" -}}
{{- $series := include "triton.series" . -}}
{{- $rule := .Values.monitoring.prometheusRule -}}
{{- with $rule.training }}
{{- if .enabled }}
- alert: YoloTrainingOverdue
  expr: |
    time() - yolo:training_success:timestamp_seconds{ {{- $series -}} } > {{ mul .maxAgeDays 86400 }}
    or absent(yolo:training_success:timestamp_seconds{ {{- $series -}} })
  for: 1h
  {{- include "triton.alertText" (dict "root" $ "severity" "warning" "name" "YoloTrainingOverdue"
    "summary" (printf "No run of the DAG %s has succeeded for %v %s" .dagId .maxAgeDays (ternary "day" "days" (eq (int .maxAgeDays) 1)))
    "description" (printf "%s. Look at its last runs in Airflow: the first failed task says why. If there are successful ones, Prometheus does not see them: check that Airflow's StatsD exporter is scraped." `{{ if gt $value 1.0 }}The last one ended {{ $value | humanizeDuration }} ago{{ else }}None is known at all{{ end }}`)) | nindent 2 }}
{{- end }}
{{- end }}
{{- with $rule.argocd }}
{{- if .enabled }}
{{- $application := default (printf "%s-%s" $.Release.Namespace $.Release.Name) .application }}
- alert: YoloArgoCdOutOfSync
  expr: argocd_app_info{name={{ $application | quote }},sync_status!="Synced"} or absent(argocd_app_info{name={{ $application | quote }}})
  for: {{ $rule.rolloutFor }}
  {{- include "triton.alertText" (dict "root" $ "severity" "warning" "name" "YoloArgoCdOutOfSync"
    "summary" (printf "What runs in %s/%s is not what Git says: the Application %s is %s" $.Release.Namespace $.Release.Name $application `{{ with $labels.sync_status }}{{ . }}{{ else }}unknown to Prometheus{{ end }}`)
    "description" (printf "`kubectl -n argocd get application %s -o yaml` tells under status.conditions and status.operationState what Argo CD cannot apply. If Argo CD is content, its metrics are not scraped." $application)) | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}
