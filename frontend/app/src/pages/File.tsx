import { useEffect, useState } from 'preact/hooks';

import { call, Problem } from '../api/client';
import { ago, t } from '../i18n';
import { Code } from '../parts/Code';
import { Colleagues } from '../parts/Colleagues';
import { CommitDialog } from '../parts/CommitDialog';
import { Confirm } from '../parts/Confirm';
import { Empty } from '../parts/Empty';
import { FileHeader } from '../parts/FileHeader';
import { Merge } from '../parts/Merge';
import { Problems } from '../parts/Problems';
import { reason, Trouble } from '../parts/Trouble';
import { Waiting } from '../parts/Waiting';
import { Draft, drafts } from '../state/draft';
import { useLoaded } from '../state/loaded';
import { tell } from '../state/notice';
import { useEvents, useProject } from '../state/project';
import { go, here, href } from '../state/router';
import { textOf } from '../text/content';

interface Opened {
  /** The branch's bytes; `undefined` for a file that is not in it yet. */
  content: ArrayBuffer | undefined;
  /** `undefined` when it cannot be edited as text. */
  draft: Draft | undefined;
}

async function open(slug: string, branch: string, path: string): Promise<Opened> {
  const place = { project: slug, branch, path };
  const [content, stored] = await Promise.all([
    call('get_file', { path: { project: slug }, query: { ref: branch, path } }).catch((error: unknown) => {
      if (error instanceof Problem && error.status === 404) return undefined;
      throw error;
    }),
    // What is no branch (a tag, a commit) has no drafts.
    drafts.get(place).catch(() => undefined),
  ]);
  const bytes = content as ArrayBuffer | undefined;
  const text = stored?.text ?? (bytes ? textOf(bytes) : '');
  return { content: bytes, draft: text === undefined ? undefined : new Draft(place, text, stored?.etag) };
}

function Status({ draft }: { draft: Draft }) {
  const said = () => {
    switch (draft.status.value) {
      case 'untouched':
        return '';
      case 'unsaved':
        return t('files.draft.unsaved');
      case 'saving':
        return t('files.draft.saving');
      case 'saved':
        return draft.savedAt.value === 0 ? t('files.draft') : t('files.draft.saved', { when: ago(draft.savedAt.value) });
      case 'failed':
        return t('files.draft.failed', { reason: reason(draft.error.value) });
      case 'conflict':
        return t('files.conflict');
    }
  };
  return (
    <span class={`quiet draft-${draft.status.value}`} role="status">
      {said()}
    </span>
  );
}

function download(content: ArrayBuffer, path: string): void {
  const url = URL.createObjectURL(new Blob([content]));
  const link = document.createElement('a');
  link.href = url;
  link.download = path.slice(path.lastIndexOf('/') + 1);
  link.click();
  URL.revokeObjectURL(url);
}

function Editor({
  draft,
  branch,
  line,
  onDiscarded,
}: {
  draft: Draft;
  branch: string;
  line: number;
  onDiscarded: () => void;
}) {
  const { project } = useProject();
  const { path } = draft.place;
  // A merge brings another text into the editor.
  const [round, setRound] = useState(0);
  const [shown, setShown] = useState(line > 0 ? { line } : undefined);
  const [asking, setAsking] = useState<'commit' | 'discard' | undefined>();
  const mine = useLoaded(
    () => call('list_drafts', { path: { project: project.slug }, query: { branch, limit: 200 } }),
    `${path} ${draft.status.value} ${asking ?? ''}`,
  );

  useEffect(() => {
    const leave = (event: BeforeUnloadEvent) => {
      if (draft.pending) event.preventDefault();
    };
    globalThis.addEventListener('beforeunload', leave);
    return () => {
      globalThis.removeEventListener('beforeunload', leave);
      draft.close();
    };
  }, [draft]);

  const settle = (action: () => void) => {
    action();
    setRound(round + 1);
  };
  const stored = draft.stored.value;
  return (
    <>
      <div class="bar">
        <Status draft={draft} />
        <span class="grow" />
        {draft.status.value !== 'untouched' && (
          <>
            <button type="button" onClick={() => setAsking('discard')}>
              {t('files.draft.discard')}
            </button>
            <button type="button" class="primary" onClick={() => void draft.flush().then(() => setAsking('commit'))}>
              {t('files.commit')}
            </button>
          </>
        )}
      </div>
      <Colleagues branch={branch} path={path} mine={() => draft.text} />
      <Code
        key={round}
        path={path}
        text={draft.text}
        label={path}
        at={shown}
        onChange={(text) => draft.edit(text)}
        onSave={() => void draft.flush()}
      />
      <Problems
        slug={project.slug}
        branch={branch}
        path={path}
        text={draft.text}
        version={draft.savedAt.value}
        onLine={(wanted) => setShown({ line: wanted })}
      />
      {stored && (
        <Merge
          path={path}
          stored={stored.text}
          mine={draft.text}
          onMine={(text) => settle(() => void draft.keep(text))}
          onStored={() => settle(() => void draft.take())}
        />
      )}
      {asking === 'commit' && mine.value && (
        <CommitDialog
          slug={project.slug}
          branch={branch}
          drafts={mine.value.items}
          onClose={() => setAsking(undefined)}
          onDone={(commit) => go(href(['p', project.slug, 'commits', commit.id]))}
        />
      )}
      {asking === 'discard' && (
        <Confirm
          title={t('files.draft.discard')}
          question={t('files.draft.discard.ask', { path })}
          onClose={() => setAsking(undefined)}
          action={async () => {
            const { place, text } = draft;
            await draft.discard();
            onDiscarded();
            tell(t('files.draft.discarded', { path }), async () => {
              await drafts.put(place, text, undefined);
              onDiscarded();
            });
          }}
        />
      )}
    </>
  );
}

export function File() {
  const { project } = useProject();
  const { slug } = project;
  const branch = here.value.query.get('ref') ?? project.default_branch;
  const path = here.value.query.get('path') ?? '';
  const fresh = here.value.query.get('new') === '1';
  const line = Number(here.value.query.get('line') ?? 0);
  const [round, setRound] = useState(0);
  const opened = useLoaded(() => open(slug, branch, path), `${slug} ${branch} ${path} ${round}`);
  useEvents(project, ['git.'], () => {
    if (opened.value?.draft?.status.value === 'untouched') setRound((before) => before + 1);
  });
  const { content, draft } = opened.value ?? {};
  const absent = opened.value !== undefined && !content && !fresh && draft?.exists !== true;
  return (
    <>
      <FileHeader branch={branch} path={path} page="file">
        {content && (
          <button type="button" onClick={() => download(content, path)}>
            {t('files.download')}
          </button>
        )}
      </FileHeader>
      {opened.loading && !opened.value && <Waiting />}
      <Trouble error={opened.error} retry={opened.reload} />
      {absent && <Empty title={t('files.absent', { path, branch })} />}
      {opened.value && !absent && !draft && <p>{t('files.binary')}</p>}
      {!absent && draft && (
        <Editor
          key={`${branch} ${path} ${round}`}
          draft={draft}
          branch={branch}
          line={line}
          onDiscarded={() => setRound((before) => before + 1)}
        />
      )}
    </>
  );
}
