/** What `npm start` prints: lines to paste into another terminal. */
export function thingsToTry(shop: string, config: string): string {
  const patch = `curl -i -X PATCH -H 'content-type: application/json' ${shop}/resilience`;
  return `
The shop listens on ${shop}. Its options are in ${config}.
Paste these lines into another terminal, one after the other.

Six calls at once take 6 seconds: two run, four wait
  for n in 1 2 3 4 5 6; do curl -s ${shop}/quotes/$n & done; wait
Again with six slots. Change it while the calls run: those that wait begin at once
  ${patch} -d '{"bulkheads":{"supplier":{"maxConcurrent":6}}}'
  for n in 1 2 3 4 5 6; do curl -s ${shop}/quotes/$n & done; wait
A change with a mistake changes nothing, not even what is right in it
  ${patch} -d '{"bulkheads":{"supplier":{"maxConcurrent":0}},"circuitBreakers":{"supplier":{"failureThreshold":1}}}'
What is in force, with its figures
  curl ${shop}/resilience

Two failures of five, then a lower threshold: the next failure opens the circuit
  curl -X POST ${shop}/supplier/fail
  curl -i ${shop}/quotes/1
  curl -i ${shop}/quotes/1
  ${patch} -d '{"circuitBreakers":{"supplier":{"failureThreshold":3}}}'
  curl -i ${shop}/quotes/1
  curl -i ${shop}/quotes/1

Or edit the file and save it. Ctrl+C stops the shop.
`;
}
