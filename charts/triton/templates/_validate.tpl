{{/*
What the schema cannot say: rules that tie one value to another. Each message starts with the key that is wrong.
*/}}
{{- define "triton.validate" -}}
{{- $names := dict -}}
{{- range .Values.models -}}{{- $_ := set $names .name 0 -}}{{- end -}}
{{- range $index, $model := .Values.models -}}
{{- include "triton.validateCandidate" (dict "root" $ "model" $model "at" (printf "models[%d].candidate" $index) "names" $names) -}}
{{- end -}}
{{- $names = dict -}}
{{- range $index, $model := .Values.models -}}
{{- $name := replace "_" "-" $model.name -}}
{{- if hasKey $names $name -}}
{{- fail (printf "models[%d].name: %q is already models[%d] (in names of objects, _ is -); each model of a release needs a name of its own" $index $model.name (get $names $name | int)) -}}
{{- end -}}
{{- $_ := set $names $name $index -}}
{{- include "triton.validateSource" (dict "root" $ "model" $model "at" (printf "models[%d]" $index)) -}}
{{- $full := include "triton.modelName" (dict "root" $ "model" $model) -}}
{{- if gt (len $full) 63 -}}
{{- fail (printf "models[%d].name: the Service would be called %s, which is longer than the 63 characters that Kubernetes allows; shorten it or the release's name" $index $full) -}}
{{- end -}}
{{- if not (kindIs "invalid" $model.version) -}}
{{- if not $model.sha256 -}}
{{- fail (printf "models[%d].sha256: version %d of %s is served only by the checksum of its ONNX file; write it, or set version to null" $index (int $model.version) $model.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $ours := list -}}
{{- range (include "triton.servers" . | fromJson).models -}}{{- if not (include "triton.sourceUri" .) -}}{{- $ours = append $ours . -}}{{- end -}}{{- end -}}
{{- with $ours -}}
{{- include "triton.validateRepository" (dict "root" $ "model" (first .).name) -}}
{{- end -}}
{{- with (include "triton.served" . | fromJson).models -}}
{{- if gt (len .) 1 -}}
{{- range $port, $number := $.Values.service.nodePorts -}}
{{- if $number -}}
{{- fail (printf "service.nodePorts.%s: the Services of several models cannot share port %d of the nodes; set it to null, or give each model a release of its own" $port (int $number)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "triton.validateService" . -}}
{{- include "triton.validateWaysIn" . -}}
{{- include "triton.validateScaling" . -}}
{{- include "triton.validateRollout" . -}}
{{- include "triton.validatePod" . -}}
{{- with .Values.server -}}
{{- if and .maxBatchSize .preferredBatchSize (gt (int .preferredBatchSize) (int .maxBatchSize)) -}}
{{- fail (printf "server.preferredBatchSize: %d is more than server.maxBatchSize = %d; Triton refuses such a model" (int .preferredBatchSize) (int .maxBatchSize)) -}}
{{- end -}}
{{- end -}}
{{- $stop := add (include "triton.preStopSeconds" . | int) .Values.server.exitTimeoutSeconds -}}
{{- if le (int .Values.terminationGracePeriodSeconds) (int $stop) -}}
{{- fail (printf "terminationGracePeriodSeconds: %d is not more than server.preStopSleepSeconds%s + server.exitTimeoutSeconds = %d; running requests would be cut off" (int .Values.terminationGracePeriodSeconds) (ternary " + 2 (for the proxy)" "" .Values.proxy.enabled) (int $stop)) -}}
{{- end -}}
{{- $startup := mul .Values.probes.startup.periodSeconds .Values.probes.startup.failureThreshold -}}
{{- $deadline := include "triton.progressDeadline" . | int -}}
{{- if le $deadline (int $startup) -}}
{{- fail (printf "progressDeadlineSeconds: %d is not more than probes.startup.periodSeconds × failureThreshold = %d; a rollout would be called failed while its model may still load" $deadline (int $startup)) -}}
{{- end -}}
{{- end -}}

{{/* An entry is a version of MLflow's, or a folder of somebody else's. Arguments: root, model, at (the entry's key). */}}
{{- define "triton.validateSource" -}}
{{- if include "triton.sourceUri" .model -}}
{{- range $key := list "registeredModel" "version" "sha256" "runId" "codeCommit" "template" "candidate" "storageUri" -}}
{{- if get $.model $key -}}
{{- fail (printf "%s.%s: %s has a source, which is all that says what is served; remove one of them" $.at $key $.model.name) -}}
{{- end -}}
{{- end -}}
{{- else -}}
{{- if not .model.registeredModel -}}
{{- fail (printf "%s.registeredModel: %s needs the model's name in MLflow's registry, or a source" .at .model.name) -}}
{{- end -}}
{{- if not (hasKey .model "version") -}}
{{- fail (printf "%s.version: %s needs a version (null: nothing is served yet), or a source" .at .model.name) -}}
{{- end -}}
{{- if contains "_" .model.name -}}
{{- fail (printf "%s.name: %q has an underscore, which only the name of a model with a source may have" .at .model.name) -}}
{{- end -}}
{{- if eq .root.Values.server.modelControlMode "poll" -}}
{{- fail (printf "server.modelControlMode: %s is pinned by its version, of which nothing changes that could be polled; give models with a source an app of their own for poll" .model.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Arguments: root, model, at (the key), names (of all models). */}}
{{- define "triton.validateCandidate" -}}
{{- if .model.candidate -}}
{{- $component := printf "%s-candidate" .model.name -}}
{{- $full := printf "%s-%s" (include "triton.fullname" .root) $component -}}
{{- if gt (len $full) 63 -}}
{{- fail (printf "%s: the candidate's Service would be called %s, which is longer than the 63 characters that Kubernetes allows; shorten the model's name or the release's, or release it with proof: after" .at $full) -}}
{{- end -}}
{{- if hasKey .names $component -}}
{{- fail (printf "%s: the objects of the candidate of %s would be called %s, as those of the model %s are; rename that model" .at .model.name $full $component) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The source of the templates is complete. Arguments: root, model (the name of one that is served). */}}
{{- define "triton.validateRepository" -}}
{{- $repository := .root.Values.modelRepository -}}
{{- $why := printf "model %s has a version, so the chart needs" .model -}}
{{- if eq $repository.source "gitSync" -}}
{{- if not $repository.gitSync.repo -}}
{{- fail (printf "modelRepository.gitSync.repo: %s the URL of the repository that holds %s" $why $repository.path) -}}
{{- end -}}
{{- else if eq $repository.source "persistentVolumeClaim" -}}
{{- if not $repository.persistentVolumeClaim.claimName -}}
{{- fail (printf "modelRepository.persistentVolumeClaim.claimName: %s the name of the claim that holds %s" $why $repository.path) -}}
{{- end -}}
{{- else if eq $repository.source "s3" -}}
{{- with $repository.s3 -}}
{{- if not .bucket -}}
{{- fail (printf "modelRepository.s3.bucket: %s the name of the bucket that holds %s" $why $repository.path) -}}
{{- end -}}
{{- if ne (empty .accessKeyId) (empty .secretAccessKey) -}}
{{- fail (printf "modelRepository.s3.%s: it is needed beside the other half of the key" (ternary "accessKeyId" "secretAccessKey" (empty .accessKeyId))) -}}
{{- end -}}
{{- if and .existingSecret .accessKeyId -}}
{{- fail "modelRepository.s3.existingSecret: it contradicts modelRepository.s3.accessKeyId; give the keys in one of the two ways" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "triton.validateService" -}}
{{- with .Values.service -}}
{{- if and (ne .type "ClusterIP") (not .nodePorts.metrics) -}}
{{- range (include "triton.served" $ | fromJson).models -}}
{{- $full := printf "%s-metrics" (include "triton.modelName" (dict "root" $ "model" .)) -}}
{{- if gt (len $full) 63 -}}
{{- fail (printf "models.name: the Service of %s's metrics would be called %s, which is longer than the 63 characters that Kubernetes allows; shorten the name or the release's" .name $full) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq .type "ClusterIP" -}}
{{- range $port, $number := .nodePorts -}}
{{- if $number -}}
{{- fail (printf "service.nodePorts.%s: service.type ClusterIP opens no port of the nodes; set the type to NodePort or LoadBalancer" $port) -}}
{{- end -}}
{{- end -}}
{{- if ne .externalTrafficPolicy "Cluster" -}}
{{- fail "service.externalTrafficPolicy: service.type ClusterIP has no traffic from outside; set the type to NodePort or LoadBalancer" -}}
{{- end -}}
{{- end -}}
{{- if ne .type "LoadBalancer" -}}
{{- range $key := list "loadBalancerClass" "loadBalancerSourceRanges" -}}
{{- if get $.Values.service $key -}}
{{- fail (printf "service.%s: service.type %s has no load balancer; set the type to LoadBalancer" $key $.Values.service.type) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.networkPolicy -}}
{{- if and .enabled .restrictEgress (not .egress) -}}
{{- fail "networkPolicy.egress: with restrictEgress the pods reach only what it names, and they need MLflow and the model repository; name these" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Triton's gRPC names the model in the message and not in the path, so each model needs a separate host. */}}
{{- define "triton.validateWaysIn" -}}
{{- $several := gt (len (include "triton.served" . | fromJson).models) 1 -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.host: the ingress is on and needs the host's name, e.g. {model}.example.com" -}}
{{- end -}}
{{- with .Values.gateway -}}
{{- if and .enabled (not .parentRefs) -}}
{{- fail "gateway.parentRefs: a route needs its gateway, e.g. [{name: public, namespace: gateways}]" -}}
{{- end -}}
{{- if and .enabled (not (or .host .grpcHost)) -}}
{{- fail "gateway.host: without it and without gateway.grpcHost there is no route; name one of them" -}}
{{- end -}}
{{- end -}}
{{- range $key, $host := dict "ingress.host" .Values.ingress.host "gateway.host" .Values.gateway.host "gateway.grpcHost" .Values.gateway.grpcHost -}}
{{- if and $several $host (not (contains "{model}" $host)) -}}
{{- fail (printf "%s: several models cannot share the host %s; write {model} into it" $key $host) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "triton.validateScaling" -}}
{{- $least := int .Values.replicas -}}
{{- with .Values.autoscaling -}}
{{- if .enabled -}}
{{- $least = int .minReplicas -}}
{{- if and .keda.enabled (not .keda.prometheus) -}}
{{- fail "autoscaling.keda.prometheus: KEDA asks Prometheus; give its URL, e.g. http://kube-prometheus-stack-prometheus.monitoring:9090" -}}
{{- end -}}
{{- if and .keda.enabled (not (and $.Values.monitoring.prometheusRule.enabled $.Values.monitoring.serviceMonitor.enabled)) -}}
{{- fail "autoscaling.keda.enabled: KEDA asks for what the recording rules write; turn on monitoring.prometheusRule.enabled and monitoring.serviceMonitor.enabled" -}}
{{- end -}}
{{- if not .metrics -}}
{{- fail "autoscaling.metrics: autoscaling is on and needs at least one measure to scale on, e.g. {measure: pendingRequests, target: \"8\"}" -}}
{{- end -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- fail (printf "autoscaling.minReplicas: %d is more than autoscaling.maxReplicas = %d" (int .minReplicas) (int .maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.podDisruptionBudget -}}
{{- if .enabled -}}
{{- if not (or (kindIs "invalid" .minAvailable) (kindIs "invalid" .maxUnavailable)) -}}
{{- fail "podDisruptionBudget.minAvailable: it contradicts podDisruptionBudget.maxUnavailable; give one of them" -}}
{{- end -}}
{{- if and (not (kindIs "invalid" .minAvailable)) (not (kindIs "string" .minAvailable)) (ge (int .minAvailable) $least) -}}
{{- fail (printf "podDisruptionBudget.minAvailable: %d of %d pods have to stay, so no node with one of them could ever be drained; run more replicas or use maxUnavailable" (int .minAvailable) $least) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "triton.validateRollout" -}}
{{- with .Values.strategy -}}
{{- if and (has (toString .maxSurge) (list "0" "0%")) (has (toString .maxUnavailable) (list "0" "0%")) -}}
{{- fail "strategy.maxSurge: with maxUnavailable 0 too, no pod could ever be replaced; set one of them to 1" -}}
{{- end -}}
{{- if and $.Values.rollout.steps (eq .type "Recreate") -}}
{{- fail "strategy.type: Recreate ends all pods at once, and rollout.steps divides them between two versions; leave the steps empty" -}}
{{- end -}}
{{- end -}}
{{- with .Values.rollout -}}
{{- if .steps -}}
{{- $autoscaling := $.Values.autoscaling -}}
{{- $pods := int (ternary $autoscaling.minReplicas $.Values.replicas $autoscaling.enabled) -}}
{{- if lt $pods 2 -}}
{{- fail (printf "rollout.steps: %d pod cannot be divided between two versions; run at least two (%s), or leave the steps empty" $pods (ternary "autoscaling.minReplicas" "replicas" $autoscaling.enabled)) -}}
{{- end -}}
{{- $former := 0 -}}
{{- range .steps -}}
{{- if le (int .) $former -}}
{{- fail (printf "rollout.steps: %d %% comes after %d %%; each step is more than the one before" (int .) $former) -}}
{{- end -}}
{{- $former = int . -}}
{{- end -}}
{{- end -}}
{{- if and .analysis.prometheus (not .steps) -}}
{{- fail "rollout.analysis.prometheus: without rollout.steps nothing is analysed; name the steps, e.g. [20, 50]" -}}
{{- end -}}
{{- if and .analysis.prometheus (not (and $.Values.monitoring.prometheusRule.enabled $.Values.monitoring.serviceMonitor.enabled)) -}}
{{- fail "rollout.analysis.prometheus: the analysis asks for what the recording rules write; turn on monitoring.prometheusRule.enabled and monitoring.serviceMonitor.enabled" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "triton.validatePod" -}}
{{- with .Values.gpu.resourceName -}}
{{- range $part := list "limits" "requests" -}}
{{- if hasKey (get $.Values.resources $part | default dict) $.Values.gpu.resourceName -}}
{{- fail (printf "gpu.resourceName: %s is also in resources.%s; say it in one place" $.Values.gpu.resourceName $part) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $own := list "git" "templates" "models" "cache" "shared-memory" "proxy" -}}
{{- range $index, $volume := .Values.extraVolumes -}}
{{- if has $volume.name $own -}}
{{- fail (printf "extraVolumes[%d].name: the chart itself has a volume %s; choose another name" $index $volume.name) -}}
{{- end -}}
{{- $own = append $own $volume.name -}}
{{- end -}}
{{- range $index, $mount := .Values.extraVolumeMounts -}}
{{- if not (has $mount.name $own) -}}
{{- fail (printf "extraVolumeMounts[%d].name: there is no volume %s in extraVolumes" $index $mount.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
