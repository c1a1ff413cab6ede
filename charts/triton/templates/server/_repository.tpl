{{/*
Where the model templates come from: `triton.fetchContainer` brings them into a volume (nothing for an image or a claim, where
they already are), and `triton.assembleContainer` makes Triton's model folder out of one of them.
*/}}

{{/* Folder in which modelRepository.path is found. */}}
{{- define "triton.checkout" -}}
{{- $repository := .root.Values.modelRepository -}}
{{- if eq $repository.source "gitSync" -}}
/git/current
{{- else if eq $repository.source "image" -}}
{{- $repository.image.root -}}
{{- else -}}
/templates
{{- end -}}
{{- end -}}

{{/* The source in a person's words, for the message that a template is missing. */}}
{{- define "triton.sourceText" -}}
{{- $repository := .root.Values.modelRepository -}}
{{- if eq $repository.source "gitSync" -}}
the git repository at {{ default $repository.gitSync.ref (include "triton.codeCommit" .) }}
{{- else if eq $repository.source "image" -}}
the image {{ include "triton.image" .root }} below {{ $repository.image.root }}
{{- else if eq $repository.source "persistentVolumeClaim" -}}
the claim {{ $repository.persistentVolumeClaim.claimName }}
{{- else -}}
the bucket {{ $repository.s3.bucket }}
{{- end -}}
{{- end -}}

{{/* The commit that the model's code is pinned to; empty: none is, or its code is not from Git. Arguments: root, model. */}}
{{- define "triton.codeCommit" -}}
{{- if eq .root.Values.modelRepository.source "gitSync" -}}
{{- .model.codeCommit | default "" -}}
{{- end -}}
{{- end -}}

{{- define "triton.templatePath" -}}
{{- printf "%s/%s" .root.Values.modelRepository.path (default "yolo" .model.template) -}}
{{- end -}}

{{- define "triton.templatesVolume" -}}
{{- $repository := .root.Values.modelRepository -}}
{{- if eq $repository.source "gitSync" -}}
name: git
emptyDir: {}
{{- else if eq $repository.source "s3" -}}
name: templates
emptyDir: {}
{{- else if eq $repository.source "persistentVolumeClaim" -}}
name: templates
persistentVolumeClaim:
  claimName: {{ $repository.persistentVolumeClaim.claimName }}
  readOnly: true
{{- end -}}
{{- end -}}

{{- define "triton.fetchContainer" -}}
{{- $source := .root.Values.modelRepository.source -}}
{{- if eq $source "gitSync" -}}
{{- include "triton.gitSyncContainer" . -}}
{{- else if eq $source "s3" -}}
{{- include "triton.s3Container" . -}}
{{- end -}}
{{- end -}}

{{/* What every init container has. */}}
{{- define "triton.initCommon" -}}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  {{- toYaml .root.Values.securityContext | nindent 2 }}
resources:
  {{- toYaml .root.Values.initResources | nindent 2 }}
{{- end -}}

{{/* A pod is one model's, and so is the commit: models of one release may be at several. */}}
{{- define "triton.gitSyncContainer" -}}
{{- $git := .root.Values.modelRepository.gitSync -}}
{{- $cache := .root.Values.cache.mountPath -}}
{{- $commit := include "triton.codeCommit" . -}}
name: git-sync
image: {{ $git.image }}
{{- if $commit }}
command:
  - /bin/sh
  - -c
args:
  - |
    {{- .root.Files.Get "files/git-sync.sh" | trim | nindent 4 }}
{{- end }}
env:
  {{- if $commit }}
  - name: CODE
    value: {{ printf "%s/code" $cache | quote }}
  {{- end }}
  - name: GITSYNC_REPO
    value: {{ $git.repo | quote }}
  - name: GITSYNC_REF
    value: {{ default $git.ref $commit | quote }}
  - name: GITSYNC_DEPTH
    value: {{ int $git.depth | quote }}
  - name: GITSYNC_ROOT
    value: /git
  - name: GITSYNC_LINK
    value: current
  - name: GITSYNC_ONE_TIME
    value: "true"
  - name: GITSYNC_SYNC_TIMEOUT
    value: {{ printf "%ds" (int $git.timeoutSeconds) | quote }}
  - name: GITSYNC_MAX_FAILURES
    value: {{ int $git.maxFailures | quote }}
  - name: GITSYNC_SUBMODULES
    value: "off"
  {{- if $git.caConfigMap }}
  - name: GIT_SSL_CAINFO
    value: /etc/git-ca/ca.crt
  {{- end }}
  {{- with $git.credentialsSecret }}
  - name: GITSYNC_USERNAME
    valueFrom:
      secretKeyRef:
        name: {{ . }}
        key: username
  - name: GITSYNC_PASSWORD
    valueFrom:
      secretKeyRef:
        name: {{ . }}
        key: password
  {{- end }}
{{ include "triton.initCommon" . }}
volumeMounts:
  {{- if $git.caConfigMap }}
  - name: git-ca
    mountPath: /etc/git-ca
    readOnly: true
  {{- end }}
  - name: git
    mountPath: /git
  {{- if $commit }}
  - name: cache
    mountPath: {{ $cache }}
  {{- end }}
{{- end -}}

{{/*
s5cmd copies one template with what goes beside it (<template>_…) and what all templates share; the bucket's address and the keys
are in its environment.
*/}}
{{- define "triton.s3Container" -}}
{{- $s3 := .root.Values.modelRepository.s3 -}}
{{- $template := include "triton.templatePath" . -}}
{{- $from := printf "%s/%s" $s3.prefix (dir $template) | trimAll "/" -}}
name: s3
image: {{ $s3.image }}
args:
  - --log=error
  - --retry-count=5
  - cp
  - --include={{ base $template }}*
  - --include=shared/*
  - {{ printf "s3://%s/%s/*" $s3.bucket $from | quote }}
  - {{ printf "/templates/%s/" (dir $template) | quote }}
env:
  {{- with $s3.endpoint }}
  - name: S3_ENDPOINT_URL
    value: {{ . | quote }}
  {{- end }}
  - name: AWS_REGION
    value: {{ $s3.region | quote }}
  {{- with include "triton.s3Secret" .root }}
  {{- range $key := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
  - name: {{ $key }}
    valueFrom:
      secretKeyRef:
        name: {{ $.root | include "triton.s3Secret" }}
        key: {{ $key }}
  {{- end }}
  {{- end }}
{{ include "triton.initCommon" . }}
volumeMounts:
  - name: templates
    mountPath: /templates
{{- end -}}

{{- define "triton.assembleContainer" -}}
{{- $values := .root.Values -}}
{{- $volume := include "triton.templatesVolume" . | fromYaml -}}
name: assemble
image: {{ include "triton.image" .root }}
imagePullPolicy: {{ $values.image.pullPolicy }}
command:
  - /bin/sh
  - -c
args:
  - |
    {{- .root.Files.Get "files/assemble.sh" | trim | nindent 4 }}
env:
  - name: CHECKOUT
    value: {{ include "triton.checkout" . | quote }}
  - name: SOURCE
    value: {{ include "triton.sourceText" . | quote }}
  - name: TEMPLATE
    value: {{ include "triton.templatePath" . | quote }}
  - name: MODELS
    value: /models
  - name: MODEL
    value: {{ .model.name | quote }}
  - name: ENCODED
    value: {{ .root.Values.server.encodedImages | quote }}
  {{- range $variable, $value := dict "INSTANCES" .root.Values.server.instances "MAX_BATCH_SIZE" .root.Values.server.maxBatchSize "PREFERRED_BATCH_SIZE" .root.Values.server.preferredBatchSize "MAX_QUEUE_DELAY" .root.Values.server.maxQueueDelayMicroseconds }}
  - name: {{ $variable }}
    value: {{ kindIs "invalid" $value | ternary "" (printf "%v" $value) | quote }}
  {{- end }}
  - name: RUN_ID
    value: {{ .model.runId | default "" | quote }}
  - name: CODE_COMMIT
    value: {{ include "triton.codeCommit" . | quote }}
  - name: FROM_GIT
    value: {{ eq .root.Values.modelRepository.source "gitSync" | quote }}
  # Names of classes are asked for as the server asks for the version.
  {{- include "triton.registryEnv" . | nindent 2 }}
envFrom:
  {{- include "triton.registryEnvFrom" .root | nindent 2 }}
{{ include "triton.initCommon" . }}
volumeMounts:
  {{- with $volume.name }}
  - name: {{ . }}
    mountPath: {{ ternary "/git" "/templates" (eq . "git") }}
    readOnly: true
  {{- end }}
  - name: models
    mountPath: /models
  - name: cache
    mountPath: {{ $values.cache.mountPath }}
  {{- with $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
