{{/* What the schema cannot say: rules that tie one value to another. Each message starts with the key that is wrong. */}}
{{- define "kserve.validate" -}}
{{- $names := dict -}}
{{- range $index, $model := .Values.models -}}
{{- $at := printf "models[%d]" $index -}}
{{- $name := replace "_" "-" $model.name -}}
{{- if hasKey $names $name -}}
{{- fail (printf "%s.name: %q is already models[%d] (in names of objects, _ is -); each model of a release needs a name of its own" $at $model.name (get $names $name | int)) -}}
{{- end -}}
{{- $_ := set $names $name $index -}}
{{- if $model.candidate -}}
{{- fail (printf "%s.candidate: this chart serves no candidates; release with proof: after" $at) -}}
{{- end -}}
{{- if $model.source -}}
{{- range $key := list "registeredModel" "version" "storageUri" -}}
{{- if get $model $key -}}
{{- fail (printf "%s.%s: %s has a source, which is all that says what is served; remove one of them" $at $key $model.name) -}}
{{- end -}}
{{- end -}}
{{- else if not $model.registeredModel -}}
{{- fail (printf "%s.registeredModel: %s needs the model's name in MLflow's registry, or a source" $at $model.name) -}}
{{- else if and (not (kindIs "invalid" $model.version)) (not $model.storageUri) -}}
{{- fail (printf "%s.storageUri: version %d of %s was not published; a release does it where LIFECYCLE_PUBLISH_URL is set, and writes the address here" $at (int $model.version) $model.name) -}}
{{- end -}}
{{- $full := printf "%s-predictor" (include "kserve.isvcOf" (dict "root" $ "model" $model)) -}}
{{- if gt (len $full) 63 -}}
{{- fail (printf "%s.name: KServe would call the Deployment %s, which is longer than the 63 characters that Kubernetes allows; shorten it or the release's name" $at $full) -}}
{{- end -}}
{{- if and (eq $.Values.mode "trained-model") (contains "_" $model.name) -}}
{{- fail (printf "%s.name: a TrainedModel is called like its model, and %q is no name of an object; take mode single or group" $at $model.name) -}}
{{- end -}}
{{- end -}}
{{- with .Values.storage -}}
{{- if ne (empty .accessKeyId) (empty .secretAccessKey) -}}
{{- fail (printf "storage.%s: it is needed beside the other half of the key" (ternary "accessKeyId" "secretAccessKey" (empty .accessKeyId))) -}}
{{- end -}}
{{- if and .existingSecret .accessKeyId -}}
{{- fail "storage.existingSecret: it contradicts storage.accessKeyId; give the keys in one of the two ways" -}}
{{- end -}}
{{- end -}}
{{- $stop := add (include "kserve.preStopSeconds" . | int) .Values.server.exitTimeoutSeconds -}}
{{- if le (int .Values.terminationGracePeriodSeconds) (int $stop) -}}
{{- fail (printf "terminationGracePeriodSeconds: %d is not more than server.preStopSleepSeconds + server.exitTimeoutSeconds (and 2 with the proxy) = %d; running requests would be cut off" (int .Values.terminationGracePeriodSeconds) (int $stop)) -}}
{{- end -}}
{{- end -}}
