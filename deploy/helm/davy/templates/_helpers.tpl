{{- define "davy.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- /* Short enough for `-coordinator-headless` behind it, in 63 characters. */}}
{{- define "davy.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "davy.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "davy.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "davy.selector" -}}
app.kubernetes.io/name: {{ include "davy.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- /* Metadata of an object: {root, component, name, labels, annotations}. */}}
{{- define "davy.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "davy.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: davy
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .root.Release.Service }}
  helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
  {{- with merge (dict) (default dict .labels) .root.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (default dict .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "davy.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end }}

{{- define "davy.serviceAccountName" -}}
{{- $account := (index .root.Values .key).serviceAccount -}}
{{- if $account.create -}}
{{- default (printf "%s-%s" (include "davy.fullname" .root) .component) $account.name -}}
{{- else -}}
{{- default "default" $account.name -}}
{{- end -}}
{{- end }}

{{- define "davy.coordinator" -}}
{{- include "davy.fullname" . }}-coordinator
{{- end }}

{{- define "davy.headless" -}}
{{- include "davy.fullname" . }}-coordinator-headless
{{- end }}

{{- /* All coordinators, so that a client finds the leader at once. */}}
{{- define "davy.coordinatorUrls" -}}
{{- $urls := list -}}
{{- range $index := until (int .Values.coordinator.replicas) -}}
{{- $urls = append $urls (printf "https://%s-%d.%s.%s.svc:9640" (include "davy.coordinator" $) $index (include "davy.headless" $) $.Release.Namespace) -}}
{{- end -}}
{{- join "," $urls -}}
{{- end }}

{{- define "davy.serverSecret" -}}
{{- default (printf "%s-tls" (include "davy.coordinator" .)) .Values.tls.existingSecret -}}
{{- end }}

{{- define "davy.clientSecret" -}}
{{- default (printf "%s-client-tls" (include "davy.fullname" .)) .Values.tls.client.existingSecret -}}
{{- end }}

{{- define "davy.kafkaHasTls" -}}
{{- if has .Values.kafka.securityProtocol (list "SSL" "SASL_SSL") }}yes{{ end -}}
{{- end }}

{{- define "davy.kafkaHasSasl" -}}
{{- if hasPrefix "SASL_" .Values.kafka.securityProtocol }}yes{{ end -}}
{{- end }}

{{- /* Arguments `--kafka-property` for the clients of Kafka that take librdkafka's properties: {root, password}. */}}
{{- define "davy.kafkaProperties" -}}
{{- $kafka := .root.Values.kafka -}}
{{- $properties := dict "security.protocol" $kafka.securityProtocol -}}
{{- if $kafka.tls.caSecret -}}
{{- $_ := set $properties "ssl.ca.location" "/etc/davy/kafka-ca/ca.crt" -}}
{{- end -}}
{{- if $kafka.tls.clientSecret -}}
{{- $_ := set $properties "ssl.certificate.location" "/etc/davy/kafka-client/tls.crt" -}}
{{- $_ := set $properties "ssl.key.location" "/etc/davy/kafka-client/tls.key" -}}
{{- end -}}
{{- if include "davy.kafkaHasSasl" .root -}}
{{- $_ := set $properties "sasl.mechanism" $kafka.sasl.mechanism -}}
{{- $_ := set $properties "sasl.username" $kafka.sasl.username -}}
{{- $_ := set $properties "sasl.password" .password -}}
{{- end -}}
{{- range $key, $value := $kafka.properties -}}
{{- $_ := set $properties $key (kindIs "float64" $value | ternary (printf "%v" (int64 $value)) (toString $value)) -}}
{{- end -}}
{{- range $key, $value := $properties }}
- {{ printf "--kafka-property=%s=%s" $key $value | quote }}
{{- end }}
{{- end }}

{{- /* Secrets of Kafka: for coordinators, which plan scripts, for workers, and for the miner test. */}}
{{- define "davy.kafkaVolumes" -}}
{{- $kafka := .Values.kafka -}}
{{- if $kafka.tls.caSecret }}
- name: kafka-ca
  secret:
    secretName: {{ $kafka.tls.caSecret }}
    defaultMode: 0440
    items:
      - {key: {{ $kafka.tls.caKey }}, path: ca.crt}
{{- end }}
{{- if $kafka.tls.clientSecret }}
- name: kafka-client
  secret:
    secretName: {{ $kafka.tls.clientSecret }}
    defaultMode: 0440
    items:
      - {key: {{ $kafka.tls.certificateKey }}, path: tls.crt}
      - {key: {{ $kafka.tls.privateKeyKey }}, path: tls.key}
{{- end }}
{{- if include "davy.kafkaHasSasl" . }}
- name: kafka-sasl
  secret:
    secretName: {{ $kafka.sasl.existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ $kafka.sasl.passwordKey }}, path: password}
{{- end }}
{{- end }}

{{- define "davy.kafkaVolumeMounts" -}}
{{- $kafka := .Values.kafka -}}
{{- if $kafka.tls.caSecret }}
- {name: kafka-ca, mountPath: /etc/davy/kafka-ca, readOnly: true}
{{- end }}
{{- if $kafka.tls.clientSecret }}
- {name: kafka-client, mountPath: /etc/davy/kafka-client, readOnly: true}
{{- end }}
{{- if include "davy.kafkaHasSasl" . }}
- {name: kafka-sasl, mountPath: /etc/davy/kafka-sasl, readOnly: true}
{{- end }}
{{- end }}

{{- /* What a client of the coordinators needs: their authority, its own certificate where they require one, and a token.
       {root, token}: the key of the token in the Secret. */}}
{{- define "davy.clientVolumes" -}}
- name: coordinator-ca
  secret:
    secretName: {{ include "davy.serverSecret" .root }}
    defaultMode: 0440
    items:
      - {key: ca.crt, path: ca.crt}
- name: token
  secret:
    secretName: {{ .root.Values.auth.existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ .token }}, path: token}
{{- if .root.Values.tls.client.enabled }}
- name: client-tls
  secret:
    secretName: {{ include "davy.clientSecret" .root }}
    defaultMode: 0440
    items:
      - {key: tls.crt, path: tls.crt}
      - {key: tls.key, path: tls.key}
{{- end }}
{{- end }}

{{- define "davy.clientVolumeMounts" -}}
- {name: coordinator-ca, mountPath: /etc/davy/coordinator-ca, readOnly: true}
- {name: token, mountPath: /etc/davy/token, readOnly: true}
{{- if .Values.tls.client.enabled }}
- {name: client-tls, mountPath: /etc/davy/client-tls, readOnly: true}
{{- end }}
{{- end }}

{{- define "davy.clientConfig" -}}
DAVY_COORDINATOR: {{ include "davy.coordinatorUrls" . | quote }}
DAVY_CA: /etc/davy/coordinator-ca/ca.crt
DAVY_TOKEN_FILE: /etc/davy/token/token
{{- if .Values.tls.client.enabled }}
DAVY_CERT: /etc/davy/client-tls/tls.crt
DAVY_KEY: /etc/davy/client-tls/tls.key
{{- end }}
{{- end }}

{{- define "davy.logConfig" -}}
DAVY_LOG: {{ .Values.log.level | quote }}
DAVY_LOG_FORMAT: {{ .Values.log.format }}
{{- end }}

{{- /* Where pods run: {root, component, values}. */}}
{{- define "davy.placement" -}}
{{- $values := .values -}}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if $values.affinity }}
affinity:
  {{- toYaml $values.affinity | nindent 2 }}
{{- else if eq $values.podAntiAffinity "hard" }}
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "davy.selector" . | nindent 12 }}
{{- else if eq $values.podAntiAffinity "soft" }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "davy.selector" . | nindent 14 }}
{{- end }}
topologySpreadConstraints:
{{- if $values.topologySpreadConstraints }}
  {{- toYaml $values.topologySpreadConstraints | nindent 2 }}
{{- else }}
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "davy.selector" . | nindent 8 }}
{{- end }}
{{- end }}

{{- /* Metadata of pods: {root, component, values, config}; a changed ConfigMap starts them again. */}}
{{- define "davy.podMetadata" -}}
labels:
  {{- include "davy.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: davy
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
  {{- with merge (dict) .values.podLabels .root.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  checksum/config: {{ .config | sha256sum }}
  {{- with merge (dict) .values.podAnnotations .root.Values.commonAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "davy.podBasics" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "davy.containerBasics" -}}
image: {{ include "davy.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end }}

{{- /* A duration such as `1m30s` in milliseconds. */}}
{{- define "davy.milliseconds" -}}
{{- $total := 0 -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 -}}
{{- range regexFindAll "[0-9]+(ms|s|m|h)" . -1 -}}
{{- $total = add $total (mul (regexFind "[0-9]+" . | int64) (get $units (regexFind "[a-z]+" .))) -}}
{{- end -}}
{{- $total -}}
{{- end }}
