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
const read = () =>
  consumer.consume({
    topics: ['qualified-leads'],
    autocommit: false,
    isolationLevel: READ_COMMITTED,
    mode: 'committed',
    fallbackMode: 'earliest'
  })

const handle = async (record) => {
  const lead = JSON.parse(record.value)
  const reasons = lead.reasons.map(({ rule, points }) => `${rule} ${points >= 0 ? '+' : ''}${points}`).join(', ')
  console.log(record.headers.get('ce_id'), lead.lead.identifiers.email, lead.score, reasons)
}

let stream = await read()
// A stream reads hundreds of records ahead, and keeps them when a member joins or leaves the group, although most may be
// another's by then: read again from where the group stands, or both handle them.
let moved = false
consumer.on('consumer:group:join', () => {
  moved = true
})

let left = Number(count)
while (stream) {
  let next
  for await (const record of stream) {
    if (moved) {
      moved = false
      next = await read() // before the old one ends: with its last stream a member leaves the topic, and all move again
      break
    }
    await handle(record)
    await record.commit()
    left -= 1
    if (left <= 0) break
  }
  stream = next
}
await consumer.close(true)
