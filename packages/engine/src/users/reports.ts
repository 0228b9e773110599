/** What users report to the operator of their server. spec: client-server-api/modules/report_content.md */
import type { UsersContext } from './deps.ts'
import { reports } from './tables.ts'
import { UserError } from './types.ts'
import type { Reports } from './types.ts'

/** Reports that are kept; the oldest goes first. */
export const MAX_REPORTS = 1_000
/** Those of one user among them: nobody pushes out the reports of others. */
export const MAX_REPORTS_PER_USER = 50
/** UTF-16 code units. */
export const MAX_REASON_LENGTH = 4_096

export function createReports({ store, committer, clock, mutex }: UsersContext): Reports {
  return {
    async list() {
      return (await reports.list(store, [])).map(([, report]) => report).toReversed()
    },
    add: (by, about, reason) =>
      mutex.run('reports', async () => {
        if (reason.length > MAX_REASON_LENGTH) throw new UserError('M_TOO_LARGE', 'the reason is too long')
        const held = await reports.list(store, [])
        const own = held.filter(([, report]) => report.by === by)
        const [oldest] = own.length >= MAX_REPORTS_PER_USER ? own : held.length >= MAX_REPORTS ? held : []
        const report = { by, at: clock.now(), reason, ...about }
        await committer.submit({
          writes: (position) => [
            ...(oldest === undefined ? [] : [reports.delete(oldest[0])]),
            reports.put([position], report),
          ],
        })
      }),
  }
}
