/** Requests to application services, by fetch. */
import { CarrierError, type ServiceHttp } from '@plexus/engine/ports'

export const serviceHttp: ServiceHttp = {
  async send({ method, url, token, body, timeoutMs, maxBytes }) {
    try {
      const response = await fetch(url, {
        method,
        // Another address is not what the operator named, and must not see the token.
        redirect: 'manual',
        headers: {
          Authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body }),
        signal: AbortSignal.timeout(timeoutMs),
      })
      return { status: response.status, body: await textOf(response, maxBytes) }
    } catch (error) {
      if (error instanceof CarrierError) throw error
      const isLate = error instanceof Error && error.name === 'TimeoutError'
      throw new CarrierError(isLate ? 'timeout' : 'unreachable', 'an application service gave no answer', {
        cause: error,
      })
    }
  },
}

async function textOf(response: Response, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder()
  let size = 0
  let text = ''
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength
    // Leaving the loop ends the connection.
    if (size > maxBytes)
      throw new CarrierError('refused', 'the answer of an application service is too large')
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}
