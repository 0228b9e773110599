/** A data channel between two browsers without Plexus: what WebRTC itself costs on this machine. */
import type { BrowserContext } from 'playwright'

declare global {
  interface Window {
    plexusRaw?: { readonly peer: RTCPeerConnection; channel?: RTCDataChannel }
  }
}

/** Milliseconds from a message to its echo. */
export async function channelRoundTrips(
  one: BrowserContext,
  other: BrowserContext,
  count: number,
): Promise<readonly number[]> {
  const [from, to] = [await one.newPage(), await other.newPage()]
  try {
    const offer = await from.evaluate(async () => {
      const peer = new RTCPeerConnection()
      window.plexusRaw = { peer, channel: peer.createDataChannel('raw') }
      await peer.setLocalDescription(await peer.createOffer())
      while (peer.iceGatheringState !== 'complete')
        await new Promise((resolve) => peer.addEventListener('icegatheringstatechange', resolve))
      return peer.localDescription?.sdp ?? ''
    })
    const answer = await to.evaluate(async (sdp) => {
      const peer = new RTCPeerConnection()
      window.plexusRaw = { peer }
      peer.addEventListener('datachannel', ({ channel }) => {
        channel.addEventListener('message', ({ data }) => channel.send(data))
      })
      await peer.setRemoteDescription({ type: 'offer', sdp })
      await peer.setLocalDescription(await peer.createAnswer())
      while (peer.iceGatheringState !== 'complete')
        await new Promise((resolve) => peer.addEventListener('icegatheringstatechange', resolve))
      return peer.localDescription?.sdp ?? ''
    }, offer)
    return await from.evaluate(pingPong, { sdp: answer, count })
  } finally {
    await from.close()
    await to.close()
  }
}

async function pingPong({ sdp, count }: { sdp: string; count: number }): Promise<number[]> {
  const { peer, channel } = window.plexusRaw ?? {}
  if (peer === undefined || channel === undefined) throw new Error('no channel was made')
  const opened = new Promise((resolve) => channel.addEventListener('open', resolve, { once: true }))
  await peer.setRemoteDescription({ type: 'answer', sdp })
  await opened
  const times: number[] = []
  for (let index = 0; index < count; index += 1) {
    const start = performance.now()
    const echo = new Promise((resolve) => channel.addEventListener('message', resolve, { once: true }))
    channel.send(new Uint8Array(300))
    await echo
    times.push(performance.now() - start)
  }
  return times
}
