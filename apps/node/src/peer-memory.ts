/** The peers that a node knows, in a file of its data folder. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseServerName, type ServerName } from '@plexus/core'
import { writeDurably } from '@plexus/daemon'
import type { Log } from '@plexus/engine/ports'
import type { KnownPeer, PeerMemory } from '@plexus/p2p'
import * as v from 'valibot'

const FILE = 'peers.json'

const texts = v.array(v.string())
const peer = v.object({
  name: v.pipe(
    v.string(),
    v.check((name) => parseServerName(name) !== undefined),
    v.transform((name) => name as ServerName),
  ),
  peerIds: texts,
  multiaddrs: texts,
  hints: texts,
  lastSeen: v.number(),
})

/** Damage costs addresses that the network tells again, so it is no reason not to start. */
export function createPeerMemory(folder: string, log: Log): PeerMemory {
  return {
    load: async () => readPeers(join(folder, FILE), log),
    save: async (peers) => writeDurably(folder, FILE, JSON.stringify(peers)),
  }
}

function readPeers(file: string, log: Log): readonly KnownPeer[] {
  try {
    return v.parse(v.array(peer), JSON.parse(readFileSync(file, 'utf8')))
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'ENOENT') log.log('warn', 'the known peers could not be read', { error: code ?? 'damaged' })
    return []
  }
}
