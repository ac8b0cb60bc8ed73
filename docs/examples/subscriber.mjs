// Prints every qualified lead as it comes, from where this subscriber stopped last time.
//
//     npm install                                  # in this folder; Node 20.19 or newer
//     node subscriber.mjs 127.0.0.1:8004           # the address that `kizashi status` shows
//
// Only committed records are read, and a position is stored after a record was dealt with: a crash in between repeats the
// record, under the same `ce_id`. Keep the ids you have seen, or write in a way that doing it twice does no harm.

import { Consumer, stringDeserializers } from '@platformatic/kafka'

const READ_COMMITTED = 1
const [bootstrapServers, groupId = 'my-sales-system', count = 'Infinity'] = process.argv.slice(2)

const consumer = new Consumer({
  groupId,
  clientId: 'my-sales-system',
  bootstrapBrokers: [bootstrapServers],
  deserializers: stringDeserializers
})
const stream = await consumer.consume({
  topics: ['qualified-leads'],
  autocommit: false,
  isolationLevel: READ_COMMITTED,
  mode: 'committed',
  fallbackMode: 'earliest'
})

let left = Number(count)
for await (const record of stream) {
  const lead = JSON.parse(record.value)
  const reasons = lead.reasons.map(({ rule, points }) => `${rule} ${points >= 0 ? '+' : ''}${points}`).join(', ')
  console.log(record.headers.get('ce_id'), lead.lead.identifiers.email, lead.score, reasons)
  await record.commit()
  left -= 1
  if (left <= 0) break
}
await consumer.close(true)
