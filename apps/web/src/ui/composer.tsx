import type { JSX } from 'preact'
import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { byteSize } from './format.ts'
import { AttachIcon, CloseIcon, SendIcon } from './icons.tsx'
import { spokenText } from './message-text.ts'
import type { MessageItem, RoomModel, Upload } from './model.ts'
import { ErrorLine } from './parts.tsx'
import { wordsOf } from './use-action.ts'

/** Longest message, in characters: an encrypted event must stay under 65,536 bytes. */
const MAX_MESSAGE_LENGTH = 10_000
/** The specification lets typing stand for a while; it is said again at most this often. */
const TYPING_AGAIN_MS = 4_000
const TYPING_STOPS_MS = 6_000
/** After a message its reader is busy with it; that one stopped is said later, unless one goes on. */
const TYPING_STOPS_AFTER_MESSAGE_MS = 1_000

export type ComposerProps = {
  readonly room: RoomModel
  readonly replyTo: MessageItem | undefined
  readonly onReplyDone: () => void
}

/** Unsent words by room, so that a look elsewhere does not lose them. */
const drafts = new Map<string, string>()

export function Composer({ room, replyTo, onReplyDone }: ComposerProps): JSX.Element {
  const [text, setText] = useState(drafts.get(room.roomId) ?? '')
  const [error, setError] = useState<string | undefined>(undefined)
  const area = useRef<HTMLTextAreaElement>(null)
  const id = useId()
  const typing = useTyping(room)
  useGrowing(area, text)
  useEffect(() => {
    if (replyTo !== undefined) area.current?.focus()
  }, [replyTo])
  useLayoutEffect(() => {
    // On a phone the keyboard would cover what one came to read.
    if (matchMedia('(pointer: fine)').matches) area.current?.focus()
  }, [])

  const keep = (value: string): void => {
    setText(value)
    if (value === '') drafts.delete(room.roomId)
    else drafts.set(room.roomId, value)
  }
  const change = (value: string): void => {
    keep(value)
    typing.say(value !== '')
  }
  const submit = (): void => {
    const body = text.trim()
    if (body === '') return
    setError(undefined)
    keep('')
    onReplyDone()
    area.current?.focus()
    // A failure to send stands at the message itself; this is for what never became one.
    room.sendText(body, replyTo?.eventId).catch((fault: unknown) => setError(wordsOf(fault)))
    typing.sent()
  }
  const attach = (files: Iterable<File>): void => {
    setError(undefined)
    for (const file of files) room.sendFile(file).catch((fault: unknown) => setError(wordsOf(fault)))
  }

  return (
    <form
      class="composer"
      aria-label="Write"
      onSubmit={(event) => {
        event.preventDefault()
        submit()
      }}
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault()
        attach(event.dataTransfer?.files ?? [])
      }}
    >
      {replyTo !== undefined && <ReplyLine item={replyTo} onCancel={onReplyDone} />}
      <Uploads uploads={room.uploads.value} />
      {error !== undefined && <ErrorLine text={error} />}
      <div class="composer-row">
        <AttachButton onFiles={attach} />
        <label class="hidden-text" for={id}>
          Message
        </label>
        <textarea
          ref={area}
          id={id}
          class="composer-input"
          rows={1}
          value={text}
          maxLength={MAX_MESSAGE_LENGTH}
          placeholder={room.summary.value.encrypted ? 'Write, end-to-end encrypted' : 'Write, not encrypted'}
          enterkeyhint="send"
          onInput={(event) => change(event.currentTarget.value)}
          onPaste={(event) => {
            const files = event.clipboardData?.files
            if (files === undefined || files.length === 0) return
            event.preventDefault()
            attach(files)
          }}
          onKeyDown={(event) => {
            if (event.key === 'Escape' && replyTo !== undefined) onReplyDone()
            if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
            event.preventDefault()
            submit()
          }}
        />
        <button
          type="submit"
          class="send-button"
          aria-label="Send"
          title="Send"
          disabled={text.trim() === ''}
        >
          <SendIcon />
        </button>
      </div>
    </form>
  )
}

function AttachButton({ onFiles }: { onFiles: (files: Iterable<File>) => void }): JSX.Element {
  const input = useRef<HTMLInputElement>(null)
  return (
    <>
      <button
        type="button"
        class="icon-button"
        aria-label="Attach a file"
        title="Attach a file"
        onClick={() => input.current?.click()}
      >
        <AttachIcon />
      </button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        tabIndex={-1}
        aria-label="Files to attach"
        onChange={(event) => {
          onFiles([...(event.currentTarget.files ?? [])])
          event.currentTarget.value = ''
        }}
      />
    </>
  )
}

function ReplyLine({ item, onCancel }: { item: MessageItem; onCancel: () => void }): JSX.Element {
  return (
    <div class="reply-line">
      <blockquote class="quote">
        <strong>{item.own ? 'You' : item.senderName}</strong>
        <span>{spokenText(item.content)}</span>
      </blockquote>
      <button type="button" class="icon-button" aria-label="Do not reply" onClick={onCancel}>
        <CloseIcon />
      </button>
    </div>
  )
}

function Uploads({ uploads }: { uploads: readonly Upload[] }): JSX.Element | undefined {
  if (uploads.length === 0) return undefined
  return (
    <ul class="uploads" aria-label="Files on their way">
      {uploads.map((upload, index) => (
        <li key={`${index}-${upload.name}`}>
          <span class="file-name">{upload.name}</span>
          <progress value={upload.done} max={upload.total} aria-label={upload.name} />
          <span class="hint">{byteSize(upload.total)}</span>
        </li>
      ))}
    </ul>
  )
}

type Typing = { readonly say: (typing: boolean) => void; readonly sent: () => void }

/** Tells the room about typing: at once, again while it goes on, and when it stops. */
function useTyping(room: RoomModel): Typing {
  const state = useRef<{ said: number; stop: ReturnType<typeof setTimeout> | undefined }>({
    said: 0,
    stop: undefined,
  })
  const say = (typing: boolean): void => {
    clearTimeout(state.current.stop)
    if (!typing) {
      if (state.current.said !== 0) room.setTyping(false)
      state.current.said = 0
      return
    }
    if (Date.now() - state.current.said > TYPING_AGAIN_MS) {
      state.current.said = Date.now()
      room.setTyping(true)
    }
    state.current.stop = setTimeout(() => say(false), TYPING_STOPS_MS)
  }
  const sent = (): void => {
    clearTimeout(state.current.stop)
    state.current.stop = setTimeout(() => say(false), TYPING_STOPS_AFTER_MESSAGE_MS)
  }
  useEffect(() => () => say(false), [])
  return { say, sent }
}

/** Lets the box grow with its text where CSS cannot (`field-sizing`), which costs a layout per key; CSS holds the most. */
function useGrowing(area: { readonly current: HTMLTextAreaElement | null }, text: string): void {
  useEffect(() => {
    const element = area.current
    if (element === null || CSS.supports('field-sizing', 'content')) return
    element.style.height = 'auto'
    element.style.height = `${element.scrollHeight}px`
  }, [text])
}
