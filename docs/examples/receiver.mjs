// Receives webhooks, checks their signatures, and prints what they are about.
//
//     npm install                                  # in this folder; Node 20.19 or newer
//     KIZASHI_WEBHOOK_SECRET=whsec_… node receiver.mjs 9000

import { createServer } from 'node:http'
import { Webhook } from 'standardwebhooks'

const webhook = new Webhook(process.env.KIZASHI_WEBHOOK_SECRET)
const done = new Set() // keep these ids where your leads are kept, in one transaction: retries carry the same one

// Your work; it may fail.
const handle = async (id, event) => {
  console.log(id, event.type, event.data.lead?.identifiers?.email ?? '-')
}

const server = createServer(async (request, response) => {
  const parts = []
  for await (const part of request) parts.push(part)
  const body = Buffer.concat(parts).toString('utf8') // the bytes as they came: parsed and written again they would differ
  let event
  try {
    event = webhook.verify(body, request.headers)
  } catch {
    response.writeHead(401).end()
    return
  }
  const id = request.headers['webhook-id']
  if (!done.has(id)) {
    try {
      await handle(id, event)
    } catch (error) {
      console.error('failed', id, error.name) // answered with 5xx, the event comes again
      response.writeHead(500).end()
      return
    }
    done.add(id) // only now: noted before, the retry of what failed would be passed over
  }
  response.writeHead(204).end()
})
server.listen(Number(process.argv[2] ?? 9000), '127.0.0.1', () => console.log('listening', server.address().port))
