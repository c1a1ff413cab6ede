{{/*
The proxy in front of Triton: files/haproxy.cfg says what it is for. Clients reach it at the pod's ports 8000 and 8001, and Triton
listens on two others.
*/}}

{{- define "triton.proxyName" -}}
{{- printf "%s-proxy" (include "triton.fullname" .) -}}
{{- end -}}

{{/* Triton's own ports, in JSON. */}}
{{- define "triton.ports" -}}
{{- if .Values.proxy.enabled -}}
{"http": 18000, "grpc": 18001, "httpName": "triton-http", "grpcName": "triton-grpc"}
{{- else -}}
{"http": 8000, "grpc": 8001, "httpName": "http", "grpcName": "grpc"}
{{- end -}}
{{- end -}}

{{/*
Seconds from the pod's deletion to Triton's SIGTERM. The proxy hands requests on up to the last moment of its drain; Triton, which
takes no more from SIGTERM on, gets it when these have come.
*/}}
{{- define "triton.preStopSeconds" -}}
{{- add (int .Values.server.preStopSleepSeconds) (ternary 2 0 .Values.proxy.enabled) -}}
{{- end -}}

{{- define "triton.proxyContainer" -}}
{{- with .Values.proxy -}}
{{- if .enabled -}}
name: proxy
image: {{ .image }}
imagePullPolicy: {{ $.Values.image.pullPolicy }}
# Not by the image's entrypoint, whose master process would be the one to get the signal.
command: [haproxy, -db, -f, /etc/haproxy/haproxy.cfg]
ports:
  - name: http
    containerPort: 8000
    protocol: TCP
  - name: grpc
    containerPort: 8001
    protocol: TCP
env:
  - name: POD_IP
    valueFrom:
      fieldRef:
        fieldPath: status.podIP
  - name: BIND_ADDRESS
    value: {{ $.Values.server.bindAddress | quote }}
  - name: DRAIN_SECONDS
    value: {{ int $.Values.server.preStopSleepSeconds | quote }}
  - name: EXIT_TIMEOUT_SECONDS
    value: {{ int $.Values.server.exitTimeoutSeconds | quote }}
  - name: MAX_CONNECTIONS
    value: {{ int .maxConnections | quote }}
lifecycle:
  preStop:
    httpGet:
      path: /
      port: 8003
securityContext:
  {{- toYaml $.Values.securityContext | nindent 2 }}
  readOnlyRootFilesystem: true
resources:
  {{- toYaml .resources | nindent 2 }}
volumeMounts:
  - name: proxy
    mountPath: /etc/haproxy
    readOnly: true
{{- end -}}
{{- end -}}
{{- end -}}
