/** What `npm start -- 02-microservice` prints: lines to paste into another terminal. */
export function thingsToTry(gateway: string, servicePort: number, recoveryTimeout: string): string {
  return `
The gateway listens on ${gateway}, the price service on TCP port ${servicePort}.
Paste these lines into another terminal, one after the other.

A price through an injected policy, and the ticks of a decorated method
  curl -i ${gateway}/prices/ACME
  curl ${gateway}/prices/ACME/ticks

Every other message fails: a retry sends it again
  curl -X POST ${gateway}/mode/flaky
  curl -i ${gateway}/prices/ACME

Break the service, then ask twice: 3 attempts fail, 2 more open the circuit
  curl -X POST ${gateway}/mode/fail
  curl -i ${gateway}/prices/ACME
  curl -i ${gateway}/prices/ACME
Now every answer is a quick 503 with Retry-After, the ticks are the last known, and no message is sent
  curl -i ${gateway}/prices/ACME
  curl ${gateway}/prices/ACME/ticks
  curl ${gateway}/requests
  curl ${gateway}/circuit

Repair the service, wait ${recoveryTimeout}, then ask twice: two probes close the circuit
  curl -X POST ${gateway}/mode/ok
  curl -i ${gateway}/prices/ACME
  curl -i ${gateway}/prices/ACME
  curl ${gateway}/circuit

The other mode is hang. Ctrl+C stops both.
`;
}
