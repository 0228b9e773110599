import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { byteSize } from './format.ts'
import { DownloadIcon, FileIcon, ImageIcon } from './icons.tsx'
import { shownSize } from './media-size.ts'
import type { MessageContent, RoomModel } from './model.ts'
import { Button, ErrorLine, Spinner } from './parts.tsx'
import { saveBlob } from './save.ts'
import { useAction, wordsOf } from './use-action.ts'

type ImageContent = Extract<MessageContent, { kind: 'image' }>
type FileContent = Extract<MessageContent, { kind: 'file' }>

/** Larger images are fetched only when asked for. */
const MAX_AUTOMATIC_BYTES = 20_000_000
/** How far off the screen an image is fetched ahead. */
const NEAR = '600px'
type Loaded = { readonly url: string } | { readonly error: string } | undefined

function useImage(content: ImageContent, room: RoomModel, wanted: boolean, attempt: number): Loaded {
  const [loaded, setLoaded] = useState<Loaded>(undefined)
  const { url } = content.media
  useEffect(() => {
    if (!wanted) return undefined
    let current = true
    let made: string | undefined
    setLoaded(undefined)
    room.media(content.media, true).then(
      (blob) => {
        if (!current) return
        made = URL.createObjectURL(blob)
        setLoaded({ url: made })
      },
      (error: unknown) => current && setLoaded({ error: wordsOf(error) }),
    )
    return () => {
      current = false
      if (made !== undefined) URL.revokeObjectURL(made)
    }
  }, [url, wanted, attempt])
  return loaded
}

/** True once the element has come near the screen. */
function useNear(element: { readonly current: HTMLElement | null }): boolean {
  const [near, setNear] = useState(false)
  useEffect(() => {
    if (element.current === null || near) return undefined
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) setNear(true)
      },
      { rootMargin: NEAR },
    )
    observer.observe(element.current)
    return () => observer.disconnect()
  }, [near])
  return near
}

export function ImageMessage({ content, room }: { content: ImageContent; room: RoomModel }): JSX.Element {
  const [asked, setAsked] = useState(false)
  const [attempt, setAttempt] = useState(0)
  const frame = useRef<HTMLDivElement>(null)
  const near = useNear(frame)
  const small = (content.media.size ?? 0) <= MAX_AUTOMATIC_BYTES
  const wanted = asked || (small && near)
  const loaded = useImage(content, room, wanted, attempt)
  const { width, height } = shownSize(content.width, content.height)
  if (loaded !== undefined && 'url' in loaded) {
    return (
      <a class="image" href={loaded.url} download={content.name} title={`${content.name}: save`}>
        <img src={loaded.url} width={width} height={height} alt={content.name} />
      </a>
    )
  }
  return (
    <div
      ref={frame}
      class="image placeholder"
      style={{ width: `${width}px`, aspectRatio: `${width} / ${height}` }}
    >
      {!small && !asked && (
        <Button onClick={() => setAsked(true)}>
          <ImageIcon /> Load image, {byteSize(content.media.size ?? 0)}
        </Button>
      )}
      {(small || asked) && loaded === undefined && <Spinner label="Loading image" />}
      {loaded !== undefined && (
        <>
          <ErrorLine text={loaded.error} />
          <Button onClick={() => setAttempt(attempt + 1)}>Try again</Button>
        </>
      )}
    </div>
  )
}

export function FileMessage({ content, room }: { content: FileContent; room: RoomModel }): JSX.Element {
  const save = useAction(async () => saveBlob(content.name, await room.media(content.media, false)))
  return (
    <div class="file">
      <span class="file-icon">
        <FileIcon />
      </span>
      <div class="file-lines">
        <span class="file-name">{content.name}</span>
        <span class="hint">{content.media.size === undefined ? 'File' : byteSize(content.media.size)}</span>
        {save.error !== undefined && <ErrorLine text={save.error} />}
      </div>
      <button
        type="button"
        class="icon-button"
        aria-label={`Save ${content.name}`}
        title="Save"
        aria-busy={save.busy}
        onClick={() => save.run()}
      >
        {save.busy ? <span class="spinner" aria-hidden="true" /> : <DownloadIcon />}
      </button>
    </div>
  )
}
