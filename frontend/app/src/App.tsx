import { useEffect, useRef } from 'preact/hooks';

import { t } from './i18n';
import { Header, toContent } from './parts/Header';
import { Keys } from './parts/Keys';
import { lazy } from './parts/lazy';
import { Notices } from './parts/Notices';
import { Trouble } from './parts/Trouble';
import { Waiting } from './parts/Waiting';
import { Account } from './pages/Account';
import { NewProject } from './pages/NewProject';
import { NotFound } from './pages/NotFound';
import { ProjectFrame } from './pages/ProjectFrame';
import { ProjectPage, SECTION_OF } from './pages/ProjectPages';
import { Projects } from './pages/Projects';
import { SetPassword } from './pages/SetPassword';
import { SignIn } from './pages/SignIn';
import { arrival } from './state/arrival';
import { useLoaded } from './state/loaded';
import { here } from './state/router';
import { account, loadAccount } from './state/session';

const Admin = lazy(async () => (await import('./pages/Admin')).Admin);

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
      return <Admin section={second ?? ''} />;
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

/** Names the page in the title, says it to who does not see it, and keeps the focus from being lost with the old page. */
function Announcer() {
  const { segments, query } = here.value;
  const place = [...segments.slice(segments[0] === 'p' ? 1 : 0), query.get('path')].filter((part) => part).join(' / ');
  const first = useRef(true);
  useEffect(() => {
    document.title = [place, t('app.name')].filter((part) => part).join(' · ');
    if (!first.current) {
      globalThis.scrollTo(0, 0);
      if (!document.activeElement || document.activeElement === document.body) toContent();
    }
    first.current = false;
  }, [place]);
  return (
    <p class="hidden" role="status">
      {first.current ? '' : place || t('app.projects')}
    </p>
  );
}

export function App() {
  const asked = useLoaded(loadAccount, 'me');
  if (arrival.value) return <SetPassword from={arrival.value} />;
  if (account.value === undefined) {
    return <main id="content">{asked.error ? <Trouble error={asked.error} retry={asked.reload} /> : <Waiting />}</main>;
  }
  if (account.value === null) return <SignIn />;
  return (
    <>
      <Header />
      <Page />
      <Announcer />
      <Notices />
      <Keys />
    </>
  );
}
