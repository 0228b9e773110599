/** What a run of the network is printed as. */
import type { NetworkReport } from './run.ts'
import { mean, quantile } from './traffic.ts'

const KB = 1_000

const whole = (value: number): string => Math.round(value).toLocaleString('en')
const one = (value: number): string => value.toFixed(1)
const seconds = (values: readonly number[]): string =>
  `p50 ${(quantile(values, 0.5) / 1_000).toFixed(2)} s, p95 ${(quantile(values, 0.95) / 1_000).toFixed(2)} s, of ${whole(values.length)}`

export function linesOf(report: NetworkReport): readonly string[] {
  const { delays, bytes, failure } = report
  const up = bytes.map((each) => each.up / KB)
  const down = bytes.map((each) => each.down / KB)
  return [
    failure === undefined ? 'nothing acknowledged was lost' : `FAILED: ${failure}`,
    `nodes            ${whole(report.nodes)} in ${whole(report.rooms)} rooms, ${whole(report.lost)} of them lost for good`,
    `came back        ${whole(report.wakes)} times`,
    `messages         ${whole(report.messages)}`,
    `to who is there  ${seconds(delays.online)}`,
    `from waking on   ${seconds(delays.woken)}`,
    `requests         ${whole(report.requests)}`,
    `lies of relays   ${whole(report.lies)}`,
    `kB of a node     sent ${whole(mean(up))} (p95 ${whole(quantile(up, 0.95))}), got ${whole(mean(down))} (p95 ${whole(quantile(down, 0.95))})`,
    ...report.fanout.map(
      ({ size, messages, online, bySender, all }) =>
        `room of ${size}: ${whole(messages)} messages, ${one(online)} members there, each sent ${one(bySender)} times by its sender, ${one(all)} by all`,
    ),
    ...report.sessions.map(
      ({ receivers, transactions, length }) =>
        `Megolm session for ${receivers}: ${whole(length)} bytes to-device in ${transactions} transactions`,
    ),
    `trace            ${report.trace}`,
  ]
}
