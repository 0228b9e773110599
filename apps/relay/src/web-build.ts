import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { StartError } from '@plexus/daemon'

/**
 * Builds the web app if a source changed. In a process of its own, so that the bundler's memory is not the relay's.
 * `root` is the project; answers with the folder of the built app.
 */
export async function buildWeb(root: string, signal: AbortSignal): Promise<string> {
  const child = spawn(process.execPath, [join(root, 'scripts', 'build-web.ts')], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    signal,
  })
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (status) => resolve(status ?? 1))
  })
  if (code !== 0) throw new StartError('the web app could not be built; the lines above say why')
  return join(root, 'apps', 'web', 'dist')
}
