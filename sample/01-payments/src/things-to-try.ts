/** What `npm start` prints: lines to paste into another terminal. */
export function thingsToTry(shop: string, provider: string, recoveryTimeout: string): string {
  return `
The shop listens on ${shop}, its payment provider on ${provider}.
Paste these lines into another terminal, one after the other.

A charge that works
  curl -i -d amount=42 ${shop}/charges
The same work done by an injected breaker, which keeps the last answer for bad times
  curl ${shop}/exchange-rates

Break the provider, then charge twice: 3 attempts fail, 2 more open the circuit
  curl -X POST ${provider}/mode/fail
  curl -i -d amount=42 ${shop}/charges
  curl -i -d amount=42 ${shop}/charges
Now every answer is a quick 503 with Retry-After, and the provider is left alone
  curl -i -d amount=42 ${shop}/charges
  curl ${provider}/requests
  curl ${shop}/exchange-rates
Watch it: the circuit, the health check with terminus, the one without
  curl ${shop}/circuit
  curl -i ${shop}/health
  curl -i ${shop}/ready

Repair the provider, wait ${recoveryTimeout}, then charge twice: two probes close the circuit
  curl -X POST ${provider}/mode/ok
  curl -i -d amount=42 ${shop}/charges
  curl -i -d amount=42 ${shop}/charges
  curl ${shop}/circuit

Other modes: hang, slow, reset. Ctrl+C stops both servers.
`;
}
