/** What Prometheus reads of a relay. None of it names anybody. */
import { createFigures, type Figures } from '@plexus/daemon'
import type { Relay } from '@plexus/relay'
import { Gauge } from 'prom-client'

type MailStats = NonNullable<Awaited<ReturnType<Relay['mailStats']>>>

const RELAY_GAUGES = {
  plexus_relay_connections: ['Open connections', 'connections'],
  plexus_relay_nodes: ['Nodes that are here', 'sessions'],
  plexus_relay_reservations: ['Nodes that can be reached through the relay', 'reservations'],
  plexus_relay_circuits_asked: ['Circuits that were asked for', 'circuitsAsked'],
  plexus_relay_circuits_refused: ['Circuits that were refused', 'circuitsRefused'],
  plexus_relay_records: ['Published records', 'records'],
  plexus_relay_dht_servers: ['Other relays that the DHT knows', 'dhtServers'],
} as const

const MAIL_GAUGES: Readonly<Record<string, readonly [help: string, read: (stats: MailStats) => number]>> = {
  plexus_mail_boxes: ['Nodes that mail is kept for', ({ mailboxes }) => mailboxes],
  plexus_mail_kept: ['Mails in all mailboxes', ({ mails }) => mails],
  plexus_mail_bytes: ['Bytes of mail in all mailboxes', ({ bytes }) => bytes],
  plexus_mail_streams: ['Mailbox streams', ({ sessions }) => sessions],
  plexus_mail_owners: ['Mailbox streams of owners', ({ owners }) => owners],
  plexus_mail_taken: ['Mails taken since the start', ({ kept }) => kept],
  plexus_mail_repeated: ['Mails that were there already', ({ known }) => known],
  plexus_mail_stocked: ['Times that a key shelf was stocked', ({ stocked }) => stocked],
  plexus_mail_announced: ['Announcements since the start', ({ announced }) => announced],
}

export function createRelayFigures(relay: Relay): Figures {
  const figures = createFigures()
  for (const [name, [help, key]] of Object.entries(RELAY_GAUGES))
    figures.gauge(name, help, () => relay.stats()[key])
  for (const [name, [help, read]] of Object.entries(MAIL_GAUGES))
    figures.gauge(name, help, async () => {
      const stats = await relay.mailStats()
      return stats === undefined ? 0 : read(stats)
    })
  figures.registry.registerMetric(
    new Gauge({
      name: 'plexus_mail_refused',
      help: 'What mailboxes refused since the start, by why',
      labelNames: ['code'],
      registers: [],
      async collect() {
        const { refused = {} } = (await relay.mailStats()) ?? {}
        for (const [code, count] of Object.entries(refused)) this.set({ code }, count)
      },
    }),
  )
  return figures
}
