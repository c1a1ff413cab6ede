{{/* The strategy of an Argo Rollouts Rollout: so many percent of the pods, a pause, and the next step. Arguments: root, model. */}}
{{- define "triton.canary" -}}
{{- $rollout := .root.Values.rollout -}}
canary:
  {{- include "triton.surge" .root | nindent 2 }}
  steps:
    {{- range $rollout.steps }}
    - setWeight: {{ int . }}
    - pause:
        duration: {{ $rollout.pause }}
    {{- end }}
  {{- if $rollout.analysis.prometheus }}
  # From the first pause to the end, beside the steps.
  analysis:
    startingStep: 1
    templates:
      - templateName: {{ include "triton.modelName" . }}
  {{- end }}
{{- end -}}
