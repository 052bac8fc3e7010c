# Asks the agent of this node for a line that this pod has written, as the account whose token is at $TOKEN_FILE, and ends
# with 0 when the answer is as EXPECT says: found or refused.
set -eu
canary="weir-canary-$POD_NAME"
echo "$canary"

query="{\"sources\": [\"$POD_NAMESPACE:$POD_NAME\"], \"pattern\": {\"patterns\": [\"$canary\"], \"fixed\": true}, \"count\": {}}"
ask() {
    grpcurl -cacert "$CA_FILE" -authority "$SERVER_NAME" -max-time 30 -H "authorization: Bearer $(cat "$TOKEN_FILE")" \
        -d "$query" "$AGENT" weir.v1.QueryService/Query 2>&1
}

# kubelet may take a moment to make the file of a log that was just begun.
tries=0
while :; do
    tries=$((tries + 1))
    code=0
    answer=$(ask) || code=$?
    case "$EXPECT $code $answer" in
        found\ 0\ *'"matched": "'[1-9]*) echo "found, as it should be"; exit 0 ;;
        # grpcurl ends with 64 and gRPC's code. What may not be read is as if it weren't there.
        refused\ 71\ * | refused\ 69\ *) echo "refused, as it should be"; exit 0 ;;
        refused\ 0\ *) break ;;
    esac
    [ "$tries" -lt 30 ] || break
    sleep 1
done
echo "not $EXPECT after $tries tries; the answer was (exit code $code):"
# Without the canary, which would be found in this log the next time.
echo "$answer" | sed "s/$canary/CANARY/g"
exit 1
