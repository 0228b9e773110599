/** The peers that a node knows, in a file of its data folder. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeDurably } from '@plexus/daemon'
import type { Log } from '@plexus/engine/ports'
import type { PeerMemory } from '@plexus/p2p'
import * as v from 'valibot'

const FILE = 'peers.json'

/** Damage costs addresses that the network tells again, so it is no reason not to start. */
export function createPeerMemory(folder: string, log: Log): PeerMemory {
  return {
    load: async () => readPeers(join(folder, FILE), log),
    save: async (peers) => writeDurably(folder, FILE, JSON.stringify(peers)),
  }
}

function readPeers(file: string, log: Log): readonly unknown[] {
  try {
    return v.parse(v.array(v.unknown()), JSON.parse(readFileSync(file, 'utf8')))
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'ENOENT') log.log('warn', 'the known peers could not be read', { error: code ?? 'damaged' })
    return []
  }
}
