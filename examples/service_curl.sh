#!/usr/bin/env bash
# Asks a running service (e2v serve) with curl:
#
#     examples/service_curl.sh RECORDING [URL]
#
# $E2V_TOKEN is the service's token, if it has one.
set -euo pipefail
recording=$1
url=${2:-http://127.0.0.1:7860}
ask=(curl --silent --show-error --fail-with-body)
[ -z "${E2V_TOKEN:-}" ] || ask+=(--header "Authorization: Bearer $E2V_TOKEN")

# The recording itself as the body.
"${ask[@]}" --data-binary "@$recording" --header "Content-Type: application/octet-stream" \
    "$url/v1/audio/emotions?filename=$(basename "$recording")"

# A form: subtitles of the timeline, one window a second.
"${ask[@]}" --form "file=@$recording" --form format=srt --form window=1 --form hop=1 \
    "$url/v1/audio/emotions"

# A job, for recordings that take longer than a request should.
job=$("${ask[@]}" --form "file=@$recording" --output /dev/null --dump-header - "$url/v1/jobs" |
    tr -d '\r' | sed -n 's/^location: //p')
until "${ask[@]}" "$url$job" | grep -Eq '"state": "(done|failed)"'; do sleep 0.2; done
"${ask[@]}" "$url$job/result"
"${ask[@]}" --request DELETE "$url$job"
