{{/* The pod of one model. Arguments: root, model. */}}
{{- define "triton.podSpec" -}}
{{- $values := .root.Values -}}
serviceAccountName: {{ include "triton.serviceAccountName" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ int $values.terminationGracePeriodSeconds }}
{{- with include "triton.pullSecrets" $values.imagePullSecrets | fromJsonArray }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
{{- with $values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
initContainers:
  {{- with include "triton.fetchContainer" . }}
  - {{ . | nindent 4 | trim }}
  {{- end }}
  - {{ include "triton.assembleContainer" . | nindent 4 | trim }}
containers:
  - {{ include "triton.serverContainer" . | nindent 4 | trim }}
  {{- with include "triton.proxyContainer" .root }}
  - {{ . | nindent 4 | trim }}
  {{- end }}
volumes:
  {{- if $values.proxy.enabled }}
  - name: proxy
    configMap:
      name: {{ include "triton.proxyName" .root }}
  {{- end }}
  {{- with include "triton.templatesVolume" . }}
  - {{ . | nindent 4 | trim }}
  {{- end }}
  {{- if and (eq $values.modelRepository.source "gitSync") $values.modelRepository.gitSync.caConfigMap }}
  - name: git-ca
    configMap:
      name: {{ $values.modelRepository.gitSync.caConfigMap }}
  {{- end }}
  - name: models
    emptyDir: {}
  - name: cache
    {{- include "triton.cacheVolume" .root | nindent 4 }}
  - name: shared-memory
    emptyDir:
      medium: Memory
      sizeLimit: {{ $values.sharedMemory.sizeLimit }}
  {{- with $values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "triton.affinity" .root | fromYaml }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- $own := dict "labelSelector" (dict "matchLabels" (include "triton.selectorLabels" $ | fromYaml)) }}
  {{- range . }}
  - {{ hasKey . "labelSelector" | ternary dict $own | merge (deepCopy .) | toYaml | nindent 4 | trim }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Which version the pod is for. */}}
{{- define "triton.modelEnv" -}}
- name: MLFLOW_MODEL_NAME
  value: {{ .model.registeredModel | quote }}
- name: MLFLOW_MODEL_VERSION
  value: {{ int64 .model.version | quote }}
- name: MODEL_SHA256
  value: {{ .model.sha256 | quote }}
{{- end -}}

{{/* How the version is found: what the server and the assembly of its folder have in common. Arguments: root, model. */}}
{{- define "triton.registryEnv" -}}
{{ include "triton.modelEnv" . }}
- name: MODEL_CACHE_DIR
  value: {{ .root.Values.cache.mountPath | quote }}
- name: MODEL_CACHE_LIMIT_MB
  value: {{ int .root.Values.cache.limitMB | quote }}
- name: PYTHONDONTWRITEBYTECODE
  value: "1"
{{- with .root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "triton.registryEnvFrom" -}}
- secretRef:
    name: {{ .Values.mlflow.existingSecret }}
{{- with .Values.extraEnvFrom }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
A volume that one node at a time can mount holds a new pod up on any other, and with it each rollout: such pods go where the
others of the release are, unless the values say themselves where pods go beside which.
*/}}
{{- define "triton.affinity" -}}
{{- $affinity := deepCopy .Values.affinity -}}
{{- $cache := .Values.cache -}}
{{- if and (eq $cache.type "persistentVolumeClaim") (not (has "ReadWriteMany" $cache.persistentVolumeClaim.accessModes)) (not (hasKey $affinity "podAffinity")) -}}
{{- $ours := dict "app.kubernetes.io/name" "triton" "app.kubernetes.io/instance" .Release.Name -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" $ours) -}}
{{- $_ := set $affinity "podAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (list $term)) -}}
{{- end -}}
{{- toYaml $affinity -}}
{{- end -}}

{{- define "triton.serverContainer" -}}
{{- $values := .root.Values -}}
{{- $ready := printf "/v2/models/%s/ready" .model.name -}}
{{- $ports := include "triton.ports" .root | fromJson -}}
name: triton
image: {{ include "triton.image" .root }}
imagePullPolicy: {{ $values.image.pullPolicy }}
command:
  - tritonserver
args:
  - --model-repository=/models
  - --model-control-mode={{ $values.server.modelControlMode }}
  {{- if eq $values.server.modelControlMode "explicit" }}
  # The public names and the engine behind them.
  - --load-model=*
  {{- end }}
  {{- if not $values.server.autoCompleteConfig }}
  - --disable-auto-complete-config
  {{- end }}
  - --strict-readiness=true
  - --exit-on-error=true
  - --exit-timeout-secs={{ int $values.server.exitTimeoutSeconds }}
  - --log-verbose={{ int $values.server.logVerbose }}
  - --http-address={{ $values.server.bindAddress }}
  - --http-port={{ $ports.http }}
  - --grpc-address={{ $values.server.bindAddress }}
  - --grpc-port={{ $ports.grpc }}
  {{- with ternary 0 (int $values.server.preStopSleepSeconds) $values.proxy.enabled }}
  # A kept connection stays on its pod. Renewed twice in the time that a stopping pod still serves, each one moves to
  # another pod before this one stops; the client sees nothing of it.
  - --grpc-max-connection-age={{ mul . 500 }}
  - --grpc-max-connection-age-grace={{ mul (int $values.server.exitTimeoutSeconds) 1000 }}
  {{- end }}
  - --metrics-address={{ $values.server.bindAddress }}
  - --metrics-port=8002
  {{- with $values.monitoring }}
  {{- if or .serviceMonitor.enabled .prometheusRule.enabled .dashboard.enabled }}
  # Request times as quantiles, which Triton leaves out by default.
  - --metrics-config=summary_latencies=true
  - --metrics-config=summary_quantiles=0.5:0.05,0.99:0.001
  {{- end }}
  {{- end }}
  {{- range $values.server.extraArgs }}
  - {{ . | quote }}
  {{- end }}
ports:
  - name: {{ $ports.httpName }}
    containerPort: {{ $ports.http }}
    protocol: TCP
  - name: {{ $ports.grpcName }}
    containerPort: {{ $ports.grpc }}
    protocol: TCP
  - name: metrics
    containerPort: 8002
    protocol: TCP
envFrom:
  {{- include "triton.registryEnvFrom" .root | nindent 2 }}
env:
  - name: POD_IP
    valueFrom:
      fieldRef:
        fieldPath: status.podIP
  # Where model.py says why a version cannot be loaded. The end of Triton's log is a table of its options, wider than what
  # Kubernetes takes of a log.
  - name: TERMINATION_MESSAGE_PATH
    value: /dev/termination-log
  {{- include "triton.registryEnv" . | nindent 2 }}
startupProbe:
  {{- include "triton.probe" (dict "path" $ready "port" $ports.httpName "settings" $values.probes.startup) | nindent 2 }}
# By the way that clients take: through the proxy, if there is one.
readinessProbe:
  {{- include "triton.probe" (dict "path" $ready "port" 8000 "settings" $values.probes.readiness) | nindent 2 }}
livenessProbe:
  {{- include "triton.probe" (dict "path" "/v2/health/live" "port" $ports.httpName "settings" $values.probes.liveness) | nindent 2 }}
lifecycle:
  preStop:
    exec:
      command: ["sleep", {{ include "triton.preStopSeconds" .root | quote }}]
terminationMessagePath: /dev/termination-log
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  {{- toYaml $values.securityContext | nindent 2 }}
resources:
  {{- include "triton.serverResources" .root | nindent 2 }}
volumeMounts:
  - name: models
    mountPath: /models
    readOnly: true
  - name: cache
    mountPath: {{ $values.cache.mountPath }}
  - name: shared-memory
    mountPath: /dev/shm
  {{- with $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* What the server gets, with its GPUs: Kubernetes takes an extended resource's request from its limit. */}}
{{- define "triton.serverResources" -}}
{{- $resources := deepCopy .Values.resources -}}
{{- with .Values.gpu -}}
{{- if .resourceName -}}
{{- $_ := set $resources "limits" (merge (dict .resourceName (int .count)) ($resources.limits | default dict)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{- define "triton.cacheVolume" -}}
{{- if eq .Values.cache.type "persistentVolumeClaim" -}}
persistentVolumeClaim:
  claimName: {{ include "triton.cacheClaim" . }}
{{- else -}}
emptyDir:
  sizeLimit: {{ .Values.cache.sizeLimit }}
{{- end -}}
{{- end -}}
