import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { duration, listNames, shortenId } from './format.ts'
import type { PeerView, SessionModel } from './model.ts'
import { networkMeaning, waitingWords } from './network-words.ts'
import { ScreenHead } from './screen-head.tsx'

const STATES: Readonly<Record<PeerView['state'], string>> = {
  direct: 'direct',
  relayed: 'through a relay',
  connecting: 'connecting',
  offline: 'not reachable',
}

/** How often the durations on the screen are brought up to date. */
const TICK_MS = 10_000

export function ConnectionView({ session }: { session: SessionModel }): JSX.Element {
  const [now, setNow] = useState(Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS)
    return () => clearInterval(timer)
  }, [])
  const peers = session.peers.value
  const relays = peers.filter((peer) => peer.kind === 'relay')
  const nodes = peers.filter((peer) => peer.kind === 'node')
  const { status, waiting } = session.network.value
  return (
    <div class="scroll-screen">
      <ScreenHead title="Connection" />
      <div class="prose">
        <p class="lead">
          {networkMeaning(status)} {waitingWords(waiting)}
        </p>
        <PeerTable
          title="People"
          peers={nodes}
          now={now}
          empty="Nobody is connected. People of your rooms appear here."
        />
        <PeerTable title="Relays" peers={relays} now={now} empty="No relay is configured." />
        <p class="note">
          A relay introduces browsers to each other. Once two are connected directly, they stay so without it.
          For people who are away it keeps sealed messages. It cannot read, forge or alter what passes.
        </p>
      </div>
    </div>
  )
}

function PeerTable(props: {
  title: string
  peers: readonly PeerView[]
  now: number
  empty: string
}): JSX.Element {
  const { title, peers, now, empty } = props
  return (
    <section class="card">
      <h2>{title}</h2>
      {peers.length === 0 ? (
        <p class="hint">{empty}</p>
      ) : (
        <table class="peers">
          <thead>
            <tr>
              <th scope="col">{title === 'Relays' ? 'Relay' : 'Who'}</th>
              <th scope="col">How</th>
              <th scope="col">Round trip</th>
              <th scope="col">Since</th>
            </tr>
          </thead>
          <tbody>
            {peers.map((peer) => (
              <tr key={peer.id}>
                <th scope="row" title={peer.address ?? peer.id}>
                  {peer.names.length > 0 ? listNames(peer.names) : shortenId(peer.id, 8)}
                </th>
                <td data-state={peer.state}>
                  <span class="dot" aria-hidden="true" />
                  {peer.kind === 'relay' && peer.state === 'direct' ? 'connected' : STATES[peer.state]}
                </td>
                <td class="number">
                  {peer.rtt === undefined ? '–' : `${Math.max(1, Math.round(peer.rtt))} ms`}
                </td>
                <td>{peer.since === undefined ? '–' : duration(now - peer.since)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}
