import { useEffect } from 'preact/hooks';

import { t } from './i18n';
import { Trouble } from './parts/Trouble';
import { Waiting } from './parts/Waiting';
import { Account } from './pages/Account';
import { Admin } from './pages/Admin';
import { Branches } from './pages/Branches';
import { Commit } from './pages/Commit';
import { Commits } from './pages/Commits';
import { Compare } from './pages/Compare';
import { Environment } from './pages/Environment';
import { Environments } from './pages/Environments';
import { File } from './pages/File';
import { Files } from './pages/Files';
import { Job } from './pages/Job';
import { Jobs } from './pages/Jobs';
import { NewProject } from './pages/NewProject';
import { Overview } from './pages/Overview';
import { ProjectFrame } from './pages/ProjectFrame';
import { Projects } from './pages/Projects';
import { Settings } from './pages/Settings';
import { SignIn } from './pages/SignIn';
import { Storage } from './pages/Storage';
import { useLoaded } from './state/loaded';
import { here, href } from './state/router';
import { account, loadAccount, signOut } from './state/session';
import { connection } from './state/socket';

/** The section that a page belongs to, where it is not its own. */
const SECTION_OF: Record<string, string> = { file: 'files', compare: 'commits' };

function ProjectPage({ section, id }: { section: string; id: string | undefined }) {
  switch (section) {
    case '':
      return <Overview />;
    case 'files':
      return <Files />;
    case 'file':
      return <File />;
    case 'commits':
      return id ? <Commit key={id} id={id} /> : <Commits />;
    case 'compare':
      return <Compare />;
    case 'branches':
      return <Branches />;
    case 'jobs':
      return id ? <Job key={id} id={id} /> : <Jobs />;
    case 'environments':
      return id ? <Environment key={id} name={id} /> : <Environments />;
    case 'storage':
      return <Storage />;
    case 'settings':
      return <Settings />;
    default:
      return <NotFound />;
  }
}

function NotFound() {
  return (
    <div class="empty">
      <h1>{t('app.notFound')}</h1>
      <p>{t('app.notFound.hint')}</p>
    </div>
  );
}

function Page() {
  const [first, second, third = '', fourth] = here.value.segments;
  switch (first) {
    case undefined:
      return <Projects />;
    case 'new':
      return <NewProject />;
    case 'account':
      return <Account />;
    case 'admin':
      return <Admin />;
    case 'p':
      if (second === undefined) break;
      return (
        <ProjectFrame key={second} slug={second} section={SECTION_OF[third] ?? third}>
          <ProjectPage section={third} id={fourth} />
        </ProjectFrame>
      );
  }
  return (
    <main id="content">
      <NotFound />
    </main>
  );
}

function Header() {
  return (
    <header class="top">
      <a class="skip" href="#content" onClick={toContent}>
        {t('app.skip')}
      </a>
      <a class="name" href={href([])}>
        {t('app.name')}
      </a>
      <nav aria-label={t('app.menu')}>
        <span class={`live ${connection.value}`} role="status">
          {connection.value === 'open' ? t('app.live') : connection.value === 'idle' ? '' : t('app.reconnecting')}
        </span>
        <a href={href([])}>{t('app.projects')}</a>
        {account.value?.admin && <a href={href(['admin'])}>{t('app.admin')}</a>}
        <a href={href(['account'])} title={t('app.account')}>
          {account.value?.name || account.value?.email}
        </a>
        <button type="button" onClick={() => void signOut()}>
          {t('app.signOut')}
        </button>
      </nav>
    </header>
  );
}

/** The address keeps its place: what is after `#` is the page. */
function toContent(event: MouseEvent): void {
  event.preventDefault();
  const content = document.getElementById('content');
  content?.setAttribute('tabindex', '-1');
  content?.focus();
}

export function App() {
  const asked = useLoaded(loadAccount, 'me');
  const place = here.value.segments.join('/');
  useEffect(() => {
    document.title = [here.value.segments.slice(1).join(' / '), t('app.name')].filter((part) => part).join(' · ');
  }, [place]);
  if (account.value === undefined) {
    return <main id="content">{asked.error ? <Trouble error={asked.error} retry={asked.reload} /> : <Waiting />}</main>;
  }
  if (account.value === null) return <SignIn />;
  return (
    <>
      <Header />
      <Page />
    </>
  );
}
