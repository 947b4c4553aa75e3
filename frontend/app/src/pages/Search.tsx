import { useState } from 'preact/hooks';

import { call } from '../api/client';
import type { Operations } from '../api/generated';
import { t } from '../i18n';
import { BranchPicker } from '../parts/BranchPicker';
import { Empty } from '../parts/Empty';
import { List } from '../parts/List';
import { usePages } from '../state/loaded';
import { useProject } from '../state/project';
import { here, href, replace } from '../state/router';
import { pieces } from '../text/highlight';

type Found = Operations['search_files']['result'];

const FILES_AT_ONCE = 50;
/** Of one file; the file view has the rest. */
const LINES_SHOWN = 20;

interface Wanted {
  q: string;
  ref: string;
  regex: boolean;
  case: boolean;
  word: boolean;
  include: string;
  exclude: string;
}

function wantedOf(query: URLSearchParams, branch: string): Wanted {
  const text = (name: string) => query.get(name) ?? '';
  const flag = (name: string) => query.get(name) === 'true';
  return {
    q: text('q'),
    ref: query.get('ref') ?? branch,
    regex: flag('regex'),
    case: flag('case'),
    word: flag('word'),
    include: text('include'),
    exclude: text('exclude'),
  };
}

function File({ slug, branch, file }: { slug: string; branch: string; file: Found['items'][number] }) {
  const [all, setAll] = useState(false);
  const at = (line?: number) => href(['p', slug, 'file'], { ref: branch, path: file.path, line: line?.toString() });
  const shown = all ? file.matches : file.matches.slice(0, LINES_SHOWN);
  return (
    <section class="found" aria-label={file.path}>
      <h2>
        <a href={at()}>{file.path}</a> <span class="badge">{file.matches.length}</span>
      </h2>
      <ol>
        {shown.map((match) => (
          <li key={`${match.line} ${match.ranges[0]?.start}`}>
            <a href={at(match.line)}>
              <span class="line-number">{match.line}</span>
              <code>
                {pieces(match.text, match.ranges).map((piece, index) =>
                  piece.found ? <mark key={index}>{piece.text}</mark> : <span key={index}>{piece.text}</span>,
                )}
              </code>
            </a>
          </li>
        ))}
      </ol>
      {shown.length < file.matches.length && (
        <button type="button" onClick={() => setAll(true)}>
          {t('search.allLines', { count: file.matches.length })}
        </button>
      )}
    </section>
  );
}

function Results({ slug, wanted }: { slug: string; wanted: Wanted }) {
  const [limited, setLimited] = useState(false);
  const pages = usePages(async (cursor) => {
    const query = { ...wanted, limit: FILES_AT_ONCE, ...(cursor === undefined ? {} : { cursor }) };
    const found = await call('search_files', { path: { project: slug }, query });
    setLimited(found.limited || found.items.some((file) => file.limited));
    return found;
  }, JSON.stringify([slug, wanted]));
  const lines = pages.items.reduce((sum, file) => sum + file.matches.length, 0);
  return (
    <>
      <p role="status">
        {pages.items.length > 0 && t('search.count', { lines, files: pages.items.length })}
        {limited && ` ${t('search.limited')}`}
      </p>
      <List
        pages={pages}
        empty={
          <Empty title={t('app.noMatch', { text: wanted.q })}>
            <p>{t('search.none.hint')}</p>
          </Empty>
        }
      >
        {(files) => files.map((file) => <File key={file.path} slug={slug} branch={wanted.ref} file={file} />)}
      </List>
    </>
  );
}

/** Text and regular expressions across a branch. */
export function Search() {
  const { project } = useProject();
  const { slug } = project;
  const wanted = wantedOf(here.value.query, project.default_branch);
  const [branch, setBranch] = useState(wanted.ref);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const values: Record<string, string> = { ref: branch };
    for (const [name, value] of new FormData(event.currentTarget as HTMLFormElement)) {
      if (typeof value === 'string') values[name] = value;
    }
    replace(href(['p', slug, 'search'], values));
  };
  const check = (name: 'regex' | 'case' | 'word') => (
    <label class="check">
      <input type="checkbox" name={name} value="true" defaultChecked={wanted[name]} />
      {t(`search.${name}`)}
    </label>
  );
  return (
    <>
      <header class="title">
        <h1>{t('search.title')}</h1>
        <BranchPicker slug={slug} value={branch} onChange={setBranch} />
      </header>
      <form class="search" role="search" onSubmit={submit}>
        <div class="bar">
          <input
            name="q"
            type="search"
            class="grow"
            required
            autofocus={wanted.q === ''}
            maxLength={1000}
            aria-label={t('search.text')}
            placeholder={t('search.text')}
            defaultValue={wanted.q}
            spellcheck={false}
          />
          <button class="primary">{t('app.search')}</button>
        </div>
        <div class="bar">
          {check('regex')}
          {check('case')}
          {check('word')}
        </div>
        <details open={wanted.include !== '' || wanted.exclude !== ''}>
          <summary>{t('search.where')}</summary>
          <div class="pair">
            <label>
              {t('search.include')}
              <input name="include" defaultValue={wanted.include} placeholder="src/**/*.py" spellcheck={false} />
            </label>
            <label>
              {t('search.exclude')}
              <input name="exclude" defaultValue={wanted.exclude} placeholder="**/tests/**" spellcheck={false} />
            </label>
          </div>
        </details>
      </form>
      {wanted.q !== '' && <Results slug={slug} wanted={wanted} />}
    </>
  );
}
